"""``minidock history``."""

from __future__ import annotations

from typing import Any

from minidock.cli.context import Context
from minidock.cli.format import FORMAT_HELP, listing, units
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed, boolean, string
from minidock.cli.streams import say

TABLE = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
TABLE_EXACT = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
CREATED_BY_WIDTH = 45


def do(context: Context, parsed: Parsed) -> int:
    """List the steps an image was made in, newest first."""
    truncate, human, form = not parsed["no-trunc"], parsed["human"], parsed["format"]
    table = listing.Listing(form, TABLE if human else TABLE_EXACT, HEADERS)
    rows = [_row(record, truncate, human) for record in context.api.history(parsed.args[0])]
    if parsed["quiet"] and not form:
        for row in rows:
            say(row["ID"])
        return 0
    table.write(rows)
    return 0


def _row(record: dict[str, Any], truncate: bool, human: bool) -> dict[str, Any]:
    import time

    created, id = record.get("Created") or 0, record["Id"]
    by = (record.get("CreatedBy") or "").replace("\t", " ")
    at = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(created))
    return {
        "ID": id.removeprefix("sha256:")[:12] if truncate and id.startswith("sha256:") else id,
        "CreatedSince": units.ago(created) if created > 0 else "N/A",
        "CreatedAt": f"{at[:-2]}:{at[-2:]}",
        "CreatedBy": listing.ellipsis(by, CREATED_BY_WIDTH) if truncate else by,
        "Size": units.human_size(record["Size"]) if human else str(record["Size"]),
        "Comment": record.get("Comment") or "",
    }


COMMAND = Command(
    "[OPTIONS] IMAGE",
    "Show the history of an image",
    do,
    (
        string("format", help=FORMAT_HELP),
        boolean("human", "H", "Print sizes and dates in human readable format", default=True),
        boolean("no-trunc", help="Don't truncate output"),
        boolean("quiet", "q", "Only show image IDs"),
    ),
    least=1,
    most=1,
    aliases=("image history", "history"),
)

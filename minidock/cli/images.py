"""``minidock images``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidock.cli.context import Context
from minidock.cli.format import FORMAT_HELP, listing, units
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed, boolean, many, string
from minidock.cli.opts import filters
from minidock.cli.streams import say

TABLE = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
TABLE_DIGESTS = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
HEADERS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}
NONE = "<none>"


def do(context: Context, parsed: Parsed) -> int:
    """List the images, one line for each name."""
    truncate, form = not parsed["no-trunc"], parsed["format"]
    table = listing.Listing(form, TABLE_DIGESTS if parsed["digests"] else TABLE, HEADERS)
    wanted = filters.collect(parsed["filter"])
    if parsed.args:
        wanted.setdefault("reference", []).append(parsed.args[0])
    found = context.api.images(all=parsed["all"], filters=wanted or None)
    found = sorted(found, key=lambda image: -image["Created"])
    rows = (row for image in found for row in image_rows(image, truncate, parsed["digests"] or ".Digest" in form))
    if parsed["quiet"] and not form:
        for row in rows:
            say(row["ID"])
        return 0
    table.write(rows)
    return 0


def image_rows(image: dict[str, Any], truncate: bool, digests: bool) -> Iterator[dict[str, Any]]:
    """One row for each name; with `digests` one for each name and digest; one of ``<none>`` for an image without names."""
    names = [name for name in image.get("RepoTags") or () if name != "<none>:<none>"]
    by_digest = [name.partition("@") for name in image.get("RepoDigests") or () if name != "<none>@<none>"]
    seen = set()
    for name in names:
        repository, _, tag = name.rpartition(":")
        matching = [digest for repo, _, digest in by_digest if repo == repository] if digests else []
        seen.add(repository)
        for digest in matching or [NONE]:
            yield _row(image, truncate, repository, tag, digest)
    for repository, _, digest in by_digest:
        if repository not in seen:
            yield _row(image, truncate, repository, NONE, digest)
    if not names and not by_digest:
        yield _row(image, truncate, NONE, NONE, NONE)


def _row(image: dict[str, Any], truncate: bool, repository: str, tag: str, digest: str) -> dict[str, Any]:
    size = units.human_size(image["Size"])
    return {
        "ID": image["Id"].removeprefix("sha256:")[:12] if truncate else image["Id"],
        "Repository": repository,
        "Tag": tag,
        "Digest": digest,
        "CreatedSince": units.ago(image["Created"]) if image["Created"] > 0 else "N/A",
        "CreatedAt": units.local_time(image["Created"]),
        "Size": size,
        "Containers": str(image["Containers"]) if image.get("Containers", -1) >= 0 else "N/A",
        "VirtualSize": size,
        "SharedSize": units.human_size(image["SharedSize"]) if image.get("SharedSize", -1) >= 0 else "N/A",
        "UniqueSize": "N/A",
    }


COMMAND = Command(
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    do,
    (
        boolean("all", "a", "Show all images (default hides intermediate images)"),
        boolean("digests", help="Show digests"),
        many("filter", "f", "Filter output based on conditions provided", parse=filters.one, kind="filter"),
        string("format", help=FORMAT_HELP),
        boolean("no-trunc", help="Don't truncate output"),
        boolean("quiet", "q", "Only show image IDs"),
    ),
    most=1,
    aliases=("image ls", "image list", "images"),
)

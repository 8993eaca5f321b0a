"""``minidock rmi``."""

from __future__ import annotations

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed, boolean
from minidock.cli.streams import complain, say


def do(context: Context, parsed: Parsed) -> int:
    """Take away each name, and the image itself with its last one; prints what went."""
    code = 0
    for ref in parsed.args:
        try:
            gone = context.api.remove_image(ref, force=parsed["force"], noprune=parsed["no-prune"])
        except failures.caught() as error:
            complain(failures.words(error))
            if not (parsed["force"] and failures.is_missing(error)):
                code = 1
            continue
        for record in gone:
            for what, name in record.items():
                say(f"{what}: {name}")
    return code


COMMAND = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    do,
    (boolean("force", "f", "Force removal of the image"), boolean("no-prune", help="Do not delete untagged parents")),
    least=1,
    aliases=("image rm", "image remove", "rmi"),
)

"""``minidock wait``."""

from __future__ import annotations

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed
from minidock.cli.streams import complain, say


def do(context: Context, parsed: Parsed) -> int:
    """Block until each has stopped; prints the exit codes, one a line."""
    code = 0
    for ref in parsed.args:
        try:
            say(str(context.api.wait(ref)["StatusCode"]))
        except failures.caught() as error:
            complain(failures.words(error))
            code = 1
    return code


COMMAND = Command(
    "CONTAINER [CONTAINER...]",
    "Block until one or more containers stop, then print their exit codes",
    do,
    least=1,
    aliases=("container wait", "wait"),
)

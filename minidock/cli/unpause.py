"""``minidock unpause``."""

from __future__ import annotations

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed


def do(context: Context, parsed: Parsed) -> int:
    """Unpause each; prints what was done."""
    return context.each(parsed.args, context.api.unpause)


COMMAND = Command(
    "CONTAINER [CONTAINER...]",
    "Unpause all processes within one or more containers",
    do,
    least=1,
    aliases=("container unpause", "unpause"),
)

"""``minidock pause``."""

from __future__ import annotations

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed


def do(context: Context, parsed: Parsed) -> int:
    """Pause each; prints what was done."""
    return context.each(parsed.args, context.api.pause)


COMMAND = Command(
    "CONTAINER [CONTAINER...]",
    "Pause all processes within one or more containers",
    do,
    least=1,
    aliases=("container pause", "pause"),
)

"""``minidock rename``."""

from __future__ import annotations

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed


def do(context: Context, parsed: Parsed) -> int:
    """Give a container another name."""
    old, new = (word.strip() for word in parsed.args)
    if not old or not new:
        raise UsageError("Error: Neither old nor new names may be empty", 1)
    context.api.rename(old, new)
    return 0


COMMAND = Command("CONTAINER NEW_NAME", "Rename a container", do, least=2, most=2, aliases=("container rename", "rename"))

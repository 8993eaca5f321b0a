"""``minidock kill``."""

from __future__ import annotations

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed, string


def do(context: Context, parsed: Parsed) -> int:
    """Send the signal to each; prints where it went."""
    return context.each(parsed.args, lambda ref: context.api.kill(ref, parsed["signal"] or None))


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    do,
    (string("signal", "s", "Signal to send to the container"),),
    least=1,
    aliases=("container kill", "kill"),
)

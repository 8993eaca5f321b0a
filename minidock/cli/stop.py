"""``minidock stop``: the stop signal, and SIGKILL for those that do not go in time."""

from __future__ import annotations

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Flag, Parsed
from minidock.cli.grammar.values import int64

TIMEOUT = Flag("timeout", "t", "Seconds to wait before killing the container", "int", int64, aliases=("time",))


def do(context: Context, parsed: Parsed) -> int:
    """Stop each; prints what was stopped."""
    return context.each(parsed.args, lambda ref: context.api.stop(ref, timeout=parsed["timeout"]))


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    do,
    (TIMEOUT,),
    least=1,
    aliases=("container stop", "stop"),
)

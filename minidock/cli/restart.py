"""``minidock restart``."""

from __future__ import annotations

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed
from minidock.cli.stop import TIMEOUT


def do(context: Context, parsed: Parsed) -> int:
    """Restart each; prints what was restarted."""
    options = {} if parsed["timeout"] is None else {"timeout": parsed["timeout"]}
    return context.each(parsed.args, lambda ref: context.api.restart(ref, **options))


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    do,
    (TIMEOUT,),
    least=1,
    aliases=("container restart", "restart"),
)

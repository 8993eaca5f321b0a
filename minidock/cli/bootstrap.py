"""``minidock bootstrap``: base images without any network, from the files of this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed
from minidock.cli.streams import say


def do(context: Context, _parsed: Parsed) -> int:
    """Make ``busybox:latest`` and ``lab:latest``; says each step, on a terminal with something that moves meanwhile."""
    if not context.embedded:
        raise UsageError("bootstrap works on this machine's engine only, not with -H", 1)
    if sys.stdout.isatty():
        _on_terminal(context.api.bootstrap)
    else:
        context.api.bootstrap(say)
    return 0


def _on_terminal(bootstrap: Callable[[Callable[[str], None]], None]) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    with console.status("making the base images") as status:

        def show(line: str) -> None:
            console.print(line)
            status.update(line)

        bootstrap(show)


COMMAND = Command("", "Make the base images (busybox, lab) from this machine's files", do, most=0)

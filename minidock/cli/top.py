"""``minidock top``."""

from __future__ import annotations

from minidock.cli.context import Context
from minidock.cli.format.table import columns
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed
from minidock.cli.streams import write

MIN_WIDTH = 20


def do(context: Context, parsed: Parsed) -> int:
    """Print the container's processes as the host's ps(1) lists them."""
    container, *ps_options = parsed.args
    found = context.api.top(container, ps_args=" ".join(ps_options) or None)
    lines = ["\t".join(row) for row in [found["Titles"], *found["Processes"]]]
    write(columns(lines, MIN_WIDTH))
    return 0


COMMAND = Command(
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    do,
    least=1,
    interspersed=False,
    aliases=("container top", "top"),
)

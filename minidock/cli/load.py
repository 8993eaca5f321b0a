"""``minidock load``."""

from __future__ import annotations

import os

from minidock.cli.context import Context
from minidock.cli.format import progress
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, boolean, string
from minidock.cli.streams import stdin


def do(context: Context, parsed: Parsed) -> int:
    """Load an archive from a file or from standard input; says what was loaded."""
    if parsed["input"]:
        try:
            with open(parsed["input"], "rb") as file:
                progress.show(context.api.load_image(file, quiet=parsed["quiet"]), quiet=parsed["quiet"])
        except OSError as error:
            if error.filename != parsed["input"]:
                raise
            raise UsageError(f"open {parsed['input']}: {(error.strerror or str(error)).lower()}", 1) from None
        return 0
    if os.isatty(0):
        raise UsageError("requested load from stdin, but stdin is empty", 1)
    progress.show(context.api.load_image(stdin(), quiet=parsed["quiet"]), quiet=parsed["quiet"])
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "Load an image from a tar archive or STDIN",
    do,
    (
        string("input", "i", "Read from tar archive file, instead of STDIN"),
        boolean("quiet", "q", "Suppress the load output"),
    ),
    most=0,
    aliases=("image load", "load"),
)

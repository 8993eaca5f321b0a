"""``minidock export``."""

from __future__ import annotations

import os
import stat

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, string
from minidock.cli.streams import write_all


def do(context: Context, parsed: Parsed) -> int:
    """Write a container's files as a tar: to a file (whole or not at all), or to standard output."""
    path = parsed["output"]
    if not path:
        if os.isatty(1):
            raise UsageError("cowardly refusing to save to a terminal. Use the -o flag or redirect", 1)
        for chunk in context.api.export(parsed.args[0]):
            write_all(1, chunk)
        return 0
    _check(path)
    half = f"{path}.{os.getpid()}.tmp"
    try:
        chunks = context.api.export(parsed.args[0])
        with open(half, "xb") as file:
            for chunk in chunks:
                file.write(chunk)
        os.replace(half, path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"failed to export container: open {path}: {reason}", 1) from None
    finally:
        if os.path.exists(half):
            os.unlink(half)
    return 0


def _check(path: str) -> None:
    """Refuse what a rename would take away and not write to: a device, a pipe, a link, … (moby ``pkg/atomicwriter``)."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return  # nothing there, or it cannot be: told by who opens it
    for is_one, what in _NO_FILES:
        if is_one(mode):
            raise UsageError(f"failed to export container: cannot write to a {what}", 1)


_NO_FILES = (
    (stat.S_ISDIR, "directory"),
    (stat.S_ISLNK, "symbolic link directly"),
    (stat.S_ISFIFO, "named pipe (FIFO)"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "character device file"),
    (stat.S_ISBLK, "block device file"),
)
COMMAND = Command(
    "[OPTIONS] CONTAINER",
    "Export a container's filesystem as a tar archive",
    do,
    (string("output", "o", "Write to a file, instead of STDOUT"),),
    least=1,
    most=1,
    aliases=("container export", "export"),
)

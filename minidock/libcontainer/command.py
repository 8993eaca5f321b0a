"""Finding the command, and docker's words for the ways in which it cannot be executed.

The shell's convention is 127 for "not found" and 126 for "found, but not executable". Docker keeps it, and its clients
match the texts.
"""

from __future__ import annotations

import errno
import os
import stat

from minidock.errors import CommandNotExecutable, CommandNotFound, StartError


def find(name: str, search: str) -> str:
    """The path of the command: `name` itself if it has a slash, else the first executable file in `search` (PATH's value).

    Runs inside the container's root, as its root. Raises CommandNotFound, CommandNotExecutable.
    """
    if "/" in name:
        _check(name, name)
        return name
    for directory in search.split(":"):
        path = f"{directory or '.'}/{name}"
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) and mode & 0o111:
            return path
    raise CommandNotFound("exec:", f'"{name}"', errno.ENOENT, "executable file not found in $PATH")


def _check(name: str, path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError as e:
        raise refused(name, e, f"stat {path}: ") from e
    if stat.S_ISDIR(mode):
        raise CommandNotExecutable("exec:", f'"{name}"', errno.EISDIR, "is a directory")
    if not mode & 0o111:
        raise CommandNotExecutable("exec:", f'"{name}"', errno.EACCES, "permission denied")


def refused(name: str, error: OSError, call: str = "") -> StartError:
    """The error for an execve(2) (or another `call`, which then comes before the reason) that the kernel refused."""
    number = error.errno or 0
    reason = call + os.strerror(number).lower()
    if number in (errno.ENOENT, errno.ENOTDIR):
        return CommandNotFound("exec:", f'"{name}"', number, reason)
    if number in (errno.EACCES, errno.ENOEXEC, errno.EISDIR, errno.ELOOP, errno.ETXTBSY, errno.EPERM):
        return CommandNotExecutable("exec:", f'"{name}"', number, reason)
    return StartError("exec:", f'"{name}"', number)

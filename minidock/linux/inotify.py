"""inotify(7): be told when a file in a directory changes."""

from __future__ import annotations

import ctypes
import os

from minidock.linux.libc import libc
from minidock.linux.trace import traced

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
CHANGES = IN_MODIFY | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF


@traced
def inotify_init1() -> int:
    """A new inotify instance: non-blocking, close-on-exec. Raises OSError (EMFILE: no instance is left for this user)."""
    fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"inotify_init1: {os.strerror(error)}")
    return fd


@traced
def inotify_add_watch(fd: int, path: str | os.PathLike[str], mask: int) -> int:
    """Watch `path` for the events of `mask`; returns the watch's number. Raises OSError(errno, text, path)."""
    number = int(libc.inotify_add_watch(fd, os.fsencode(path), ctypes.c_uint32(mask)))
    if number < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"inotify_add_watch: {os.strerror(error)}", os.fspath(path))
    return number

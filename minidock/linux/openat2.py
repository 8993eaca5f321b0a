"""Paths that cannot leave a root (openat2(2)).

A module of its own, because it needs ctypes: `files`, which every command loads, does not.
"""

from __future__ import annotations

import ctypes
import os

from minidock.linux.libc import syscall
from minidock.linux.trace import traced

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@traced
def openat2(dirfd: int, path: str, flags: int, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """Open `path` as seen from the root `dirfd`: links and ``..`` cannot lead out (openat2(2)). Close-on-exec."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    return syscall("openat2", dirfd, os.fsencode(path), how, ctypes.sizeof(how), path=path)

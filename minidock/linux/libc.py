"""The one door to the C library and to raw system calls: errno kept, x86-64 and arm64 numbers.

Every other module of this package calls `syscall` (or a libc function through `libc`) and adds only a name, types and a man
page. Calls hold the GIL (``ctypes.PyDLL``): between clone and execve there is one thread and nobody to hand the GIL to, and for
calls of a microsecond releasing it costs more than it gives. A call that can block (waiting, reading) is made through
Python's own `os`, which releases it.
"""

from __future__ import annotations

import ctypes
import os

libc = ctypes.PyDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
# c_void_p takes integers, bytes and references alike, all 64 bits wide; declared once, a call costs a third less.
libc.syscall.argtypes = (ctypes.c_long, *(ctypes.c_void_p,) * 6)
_PADDING = tuple((0,) * (6 - n) for n in range(7))

# (x86-64, arm64), from the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h
_TABLE: dict[str, tuple[int, int]] = {
    "rt_sigaction": (13, 134),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "unshare": (272, 97),
    "setns": (308, 268),
    "capget": (125, 90),
    "capset": (126, 91),
    "prctl": (157, 167),
    "keyctl": (250, 219),
    "seccomp": (317, 277),
    "bpf": (321, 280),
    "execveat": (322, 281),
    "perf_event_open": (298, 241),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "openat2": (437, 437),
    "mount_setattr": (442, 442),
}
_COLUMN = {"x86_64": 0, "aarch64": 1}

Arg = int | bytes | ctypes.Array[ctypes.c_char] | ctypes.Structure | None


def number(name: str) -> int:
    """The number of system call `name` on this machine. Raises OSError(ENOSYS) on an architecture we have no column for."""
    column = _COLUMN.get(os.uname().machine)
    if column is None:
        raise OSError(38, f"{name}: no system call numbers for {os.uname().machine}")
    return _TABLE[name][column]


_NUMBERS = {name: number(name) for name in _TABLE} if os.uname().machine in _COLUMN else {}


def syscall(name: str, *args: Arg, path: str | bytes | None = None) -> int:
    """Make the raw system call (syscall(2)); integers go as longs, bytes as pointers, structures by reference.

    Returns the result. Raises OSError(errno, text, path) when the kernel answers -1.
    """
    raw = [ctypes.byref(a) if isinstance(a, ctypes.Structure) else a for a in args]
    result: int = libc.syscall(_NUMBERS.get(name) or number(name), *raw, *_PADDING[len(raw)])
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}", path)
    return result

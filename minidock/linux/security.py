"""What a process may do, system call by system call: capabilities, seccomp filters, keyrings, prctl(2) switches.

One thin function each, no policy: which capabilities a container gets is libcontainer/capabilities.py's business, which
system calls libcontainer/seccomp.py's. All act on the calling thread alone, which is the whole process between clone and
execve. All raise OSError(errno, text).
"""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from minidock.linux.libc import syscall
from minidock.linux.trace import traced

# include/uapi/linux/prctl.h
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_GET_SECUREBITS = 27
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_IS_SET = 1
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4

_CAPABILITY_VERSION_3 = 0x20080522  # include/uapi/linux/capability.h: 64 bits in two halves
_KEYCTL_JOIN_SESSION_KEYRING = 1  # include/uapi/linux/keyctl.h
_SECCOMP_SET_MODE_FILTER = 1  # include/uapi/linux/seccomp.h
SECCOMP_FILTER_FLAG_LOG = 1 << 1
SECCOMP_FILTER_FLAG_SPEC_ALLOW = 1 << 2

_INSTRUCTION = 8  # sizeof(struct sock_filter), include/uapi/linux/filter.h


class CapabilitySets(NamedTuple):
    """The three sets of capget(2), each as a mask: bit n is capability number n."""

    effective: int
    permitted: int
    inheritable: int


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    """Two ``struct __user_cap_data_struct`` in a row: the low 32 bits of each set, then the high 32."""

    _fields_ = tuple(
        (f"{name}{half}", ctypes.c_uint32) for half in (0, 1) for name in ("effective", "permitted", "inheritable")
    )


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


@traced
def capget(pid: int = 0) -> CapabilitySets:
    """The capability sets of thread `pid` (0: the caller's own); capget(2)."""
    data = _CapData()
    syscall("capget", _CapHeader(_CAPABILITY_VERSION_3, pid), data)
    return CapabilitySets(
        *(getattr(data, f"{s}0") | getattr(data, f"{s}1") << 32 for s in ("effective", "permitted", "inheritable"))
    )


@traced
def capset(sets: CapabilitySets) -> None:
    """Set the caller's own effective, permitted and inheritable sets at once (capset(2)).

    EPERM: a bit that permitted did not have, or an effective bit outside the new permitted set.
    """
    masks = (sets.effective, sets.permitted, sets.inheritable)
    data = _CapData(*(m & 0xFFFFFFFF for m in masks), *(m >> 32 for m in masks))
    syscall("capset", _CapHeader(_CAPABILITY_VERSION_3, 0), data)


@traced
def bounding_has(capability: int) -> bool:
    """Whether the bounding set has capability number `capability` (PR_CAPBSET_READ(2const)). EINVAL: no such number."""
    return syscall("prctl", PR_CAPBSET_READ, capability, 0, 0, 0) == 1


@traced
def bounding_drop(capability: int) -> None:
    """Take a capability out of the bounding set for good (PR_CAPBSET_DROP(2const)). EPERM without CAP_SETPCAP."""
    syscall("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)


@traced
def ambient_raise(capability: int) -> None:
    """Add to the ambient set (PR_CAP_AMBIENT(2const)). EPERM unless it is in both the permitted and inheritable sets."""
    syscall("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)


@traced
def ambient_clear() -> None:
    """Empty the ambient set (PR_CAP_AMBIENT(2const))."""
    syscall("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)


@traced
def keep_caps(keep: bool) -> None:
    """Keep the permitted set when all user ids leave 0; an execve resets the switch (PR_SET_KEEPCAPS(2const))."""
    syscall("prctl", PR_SET_KEEPCAPS, int(keep), 0, 0, 0)


@traced
def securebits() -> int:
    """The caller's securebits (PR_GET_SECUREBITS(2const), capabilities(7))."""
    return syscall("prctl", PR_GET_SECUREBITS, 0, 0, 0, 0)


@traced
def set_no_new_privs() -> None:
    """From now on no execve grants anything: set-user-ID bits and file capabilities are ignored, for good.

    PR_SET_NO_NEW_PRIVS(2const); inherited by children, kept across execve.
    """
    syscall("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


@traced
def no_new_privs() -> bool:
    """Whether the caller has no_new_privs set (PR_GET_NO_NEW_PRIVS(2const))."""
    return syscall("prctl", PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1


@traced
def set_dumpable(dumpable: bool) -> None:
    """Whether processes of the same user may ptrace us and open our /proc/PID links (PR_SET_DUMPABLE(2const))."""
    syscall("prctl", PR_SET_DUMPABLE, int(dumpable), 0, 0, 0)


@traced
def dumpable() -> bool:
    """Whether the caller is dumpable (PR_GET_DUMPABLE(2const))."""
    return syscall("prctl", PR_GET_DUMPABLE, 0, 0, 0, 0) == 1


@traced
def join_session_keyring(name: str | None = None) -> int:
    """Leave the session keyring that came with the login; returns the serial number of the new one.

    With a name, the keyring of that name is joined, or made if there is none; without, an anonymous one is made
    (keyctl_join_session_keyring(3), keyrings(7)). ENOSYS: a kernel without keys; EDQUOT: too many keys.
    """
    return syscall("keyctl", _KEYCTL_JOIN_SESSION_KEYRING, name.encode() if name is not None else None)


@traced
def seccomp_set_filter(program: bytes, flags: int = SECCOMP_FILTER_FLAG_SPEC_ALLOW) -> None:
    """Put a classic BPF filter in front of all further system calls of the caller and its children (seccomp(2)).

    `program` is an array of ``struct sock_filter`` (8 bytes each). EACCES: neither no_new_privs nor CAP_SYS_ADMIN;
    EINVAL: not a valid program. SPEC_ALLOW leaves the speculative-store mitigation to the kernel's own setting.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_program = _SockFprog(len(program) // _INSTRUCTION, ctypes.addressof(buffer))
    syscall("seccomp", _SECCOMP_SET_MODE_FILTER, flags, filter_program)

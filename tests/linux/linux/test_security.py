"""The thin functions of linux/security.py, each against what the kernel says afterwards in /proc/self/status."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from minidock.linux import security
from minidock.linux.libc import syscall
from minidock.linux.security import CapabilitySets
from tests.linux.libcontainer.children import in_child

CHOWN, KILL, SETPCAP, NET_RAW, SYSLOG = 0, 5, 8, 13, 34  # the last is in the second half of the kernel's structure


def status(field: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(field + ":"))


def test_capget_says_what_proc_says() -> None:
    sets = security.capget()
    assert [f"{m:016x}" for m in (sets.effective, sets.permitted, sets.inheritable)] == [
        status("CapEff"),
        status("CapPrm"),
        status("CapInh"),
    ]


def test_capset_sets_all_three() -> None:
    def child() -> list[str]:
        security.capset(CapabilitySets(1 << CHOWN, 1 << CHOWN | 1 << NET_RAW | 1 << SYSLOG, 1 << KILL | 1 << SYSLOG))
        return [status(f) for f in ("CapEff", "CapPrm", "CapInh")]

    assert [int(x, 16) for x in in_child(child)] == [
        1 << CHOWN,
        1 << CHOWN | 1 << NET_RAW | 1 << SYSLOG,
        1 << KILL | 1 << SYSLOG,
    ]


def test_capset_cannot_give_back_what_was_dropped() -> None:
    def child() -> None:
        security.capset(CapabilitySets(0, 0, 0))
        security.capset(CapabilitySets(1 << CHOWN, 1 << CHOWN, 0))

    assert in_child(child) == {"errno": errno.EPERM}


def test_bounding_drop() -> None:
    """A capability that was dropped from the bounding set is gone, and only that one."""

    def child() -> list[bool]:
        before = security.bounding_has(CHOWN)
        security.bounding_drop(CHOWN)
        return [before, security.bounding_has(CHOWN), security.bounding_has(KILL)]

    assert in_child(child) == [True, False, True]


def test_bounding_has_no_such_capability() -> None:
    assert in_child(lambda: security.bounding_has(63)) == {"errno": errno.EINVAL}


def test_ambient_needs_inheritable_and_permitted() -> None:
    def child() -> list[bool]:
        sets = security.capget()
        security.capset(CapabilitySets(sets.effective, sets.permitted, 1 << CHOWN))
        security.ambient_raise(CHOWN)
        raised = int(status("CapAmb"), 16)
        security.ambient_clear()
        return [raised == 1 << CHOWN, int(status("CapAmb"), 16) == 0]

    assert in_child(child) == [True, True]
    assert in_child(lambda: security.ambient_raise(NET_RAW)) == {"errno": errno.EPERM}  # not inheritable


def test_keep_caps_carries_permitted_over_setuid() -> None:
    def child(keep: bool) -> int:
        security.keep_caps(keep)
        os.setresuid(1000, 1000, 1000)
        return security.capget().permitted

    assert in_child(lambda: child(True)) == security.capget().permitted
    assert in_child(lambda: child(False)) == 0


def test_securebits() -> None:
    """What `securebits` says is what the kernel holds."""

    def child() -> list[int]:
        before = security.securebits()
        syscall("prctl", 28, before | 1, 0, 0, 0)  # PR_SET_SECUREBITS, SECBIT_NOROOT
        return [before & 1, security.securebits() & 1]

    assert in_child(child) == [0, 1]


def test_no_new_privs_and_dumpable() -> None:
    def child() -> list[bool | str]:
        before = security.no_new_privs()
        security.set_no_new_privs()
        security.set_dumpable(False)
        return [before, security.no_new_privs(), status("NoNewPrivs"), security.dumpable()]

    assert in_child(child) == [False, True, "1", False]


def test_session_keyring_is_a_new_one() -> None:
    def child() -> list[bool]:
        first, second = security.join_session_keyring(), security.join_session_keyring()
        return [first > 0, first != second]

    assert in_child(child) == [True, True]


def _refuse(number: int, error: int) -> bytes:
    """A filter: ``if nr == number: return ERRNO(error); return ALLOW``."""
    code = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error), (0x06, 0, 0, 0x7FFF0000))
    return b"".join(struct.pack("=HBBI", *i) for i in code)


def test_seccomp_filter_refuses_one_call() -> None:
    getsid = {"x86_64": 124, "aarch64": 156}[os.uname().machine]

    def child() -> list[object]:
        before = os.getsid(0)
        security.seccomp_set_filter(_refuse(getsid, errno.EDOM))
        assert (before, os.getppid()) > (0, 0)  # others are let through
        return [os.getsid(0)]

    assert in_child(child) == {"errno": errno.EDOM}


def test_seccomp_filter_wants_privilege() -> None:
    def child(no_new_privs: bool) -> str:
        security.capset(CapabilitySets(0, 0, 0))
        if no_new_privs:
            security.set_no_new_privs()
        security.seccomp_set_filter(_refuse(0xFFFF, 1))
        return status("Seccomp")

    assert in_child(lambda: child(False)) == {"errno": errno.EACCES}
    assert in_child(lambda: child(True)) == "2"


def test_seccomp_filter_must_be_a_program() -> None:
    assert in_child(lambda: security.seccomp_set_filter(struct.pack("=HBBI", 0xFFFF, 0, 0, 0))) == {"errno": errno.EINVAL}

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from minidock.linux import namespaces as ns
from tests.linux.libcontainer.children import in_child


@pytest.mark.parametrize("kind", ["cgroup", "ipc", "mnt", "net", "uts", "user"])
def test_unshare_makes_a_new_one(kind: str) -> None:
    def unshared() -> bool:
        before = ns.identity(kind)
        ns.unshare(ns.FLAG[kind])
        return ns.identity(kind) != before

    assert in_child(unshared) is True


@pytest.mark.parametrize("kind", ["pid", "time"])
def test_pid_and_time_are_for_the_children(kind: str) -> None:
    def unshared() -> list[bool]:
        own = ns.identity(kind)
        fd = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY)
        ns.unshare(ns.FLAG[kind])
        stayed = ns.identity(kind) == own
        if kind == "time":
            ns.write_time_offsets(10, 20)
        child = os.fork()
        if child == 0:
            os._exit(int(ns.identity(kind) != own))
        differs = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        ns.setns(fd, ns.FLAG[kind])  # and back again: what `container.borrow` relies on
        child = os.fork()
        if child == 0:
            os._exit(int(ns.identity(kind) == own))
        return [stayed, differs, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1]

    assert in_child(unshared) == [True, True, True]


def test_names_belong_to_the_namespace() -> None:
    def named() -> list[str]:
        ns.unshare(ns.CLONE_NEWUTS)
        ns.sethostname("a-host")
        ns.setdomainname("a.domain")
        return [os.uname().nodename, Path("/proc/sys/kernel/domainname").read_text().strip()]

    before = os.uname().nodename
    assert in_child(named) == ["a-host", "a.domain"]
    assert os.uname().nodename == before


def test_errors_keep_their_errno() -> None:
    def wrong_kind() -> None:
        ns.setns(os.open("/proc/self/ns/uts", os.O_RDONLY), ns.CLONE_NEWNET)

    assert in_child(wrong_kind) == {"errno": errno.EINVAL}

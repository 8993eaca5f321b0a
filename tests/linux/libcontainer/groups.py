"""A cgroup of either version, and processes that are born in it: what the cgroup tests share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NoReturn

from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import v1, v2
from minidock.libcontainer.cgroups.hierarchy import Hierarchy, hierarchies
from minidock.linux import process
from tests import leaks
from tests.linux.libcontainer.children import in_child

PARENT = f"/{leaks.label()}"
PATH = f"{PARENT}/x"


def v2_tree() -> Hierarchy | None:
    return next((h for h in hierarchies() if h.version == 2), None)


def born_in(manager: cgroups.Manager, child: Callable[[], NoReturn]) -> tuple[int, int]:
    """A process of ours in the cgroup, as init comes there: cloned into it, then joining the rest. (pid, pidfd)."""
    r, w = os.pipe()

    def start() -> NoReturn:
        try:
            manager.join_self()
            os.write(w, b"1")
            child()
        finally:
            os._exit(70)  # never back into the test

    fd = manager.fd()
    try:
        pid, pidfd = process.clone3(start, 0, fd)
    finally:
        for each in (w, *([fd] if fd is not None else [])):
            os.close(each)
    with os.fdopen(r, "rb") as joined:
        assert joined.read(1) == b"1"
    return pid, pidfd


def sleeper() -> NoReturn:
    os.execv("/bin/sleep", ["sleep", "1000"])


def until(condition: Callable[[], bool], timeout: float = 10) -> None:
    """Wait for a state of which no event tells."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def reap(pid: int, pidfd: int) -> int:
    status = os.waitpid(pid, 0)[1]
    os.close(pidfd)
    return os.waitstatus_to_exitcode(status)


def another(manager: cgroups.Manager, path: str) -> cgroups.Manager:
    """The same driver for another path."""
    tree = v2_tree()
    return v2.Manager(path, tree) if isinstance(manager, v2.Manager) and tree else v1.Manager(path, hierarchies())


def inside(manager: cgroups.Manager, act: Callable[[], object]) -> object:
    """What `act` returns (`in_child`) in a process of this cgroup."""

    def child() -> object:
        manager.join(os.getpid())
        return act()

    return in_child(child)

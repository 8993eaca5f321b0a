"""What starting a container and starting an exec have in common: the parent's handle on a process just born."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from minidock.errors import StartError
from minidock.libcontainer import sync
from minidock.libcontainer.config import NEW
from minidock.linux import mount, namespaces, process, trace

_FOREIGN = re.compile(r"/proc/(\d+)/root(/.+)")


class InitProcess:
    """A process between clone3 and its end, as its parent sees it: a container's init, or an exec's process.

    `pid` is the host's number for it, `pidfd` the descriptor that becomes readable when it ends; `sync` is our side of the
    conversation; `warnings` grows until the command is executed. Whoever has one must call `destroy` in the end, whatever
    happened.
    """

    def __init__(self, pid: int, pidfd: int, parent: sync.Parent, undo: ExitStack) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.status: int | None = None
        self.sync = parent
        self._undo = undo

    @property
    def warnings(self) -> list[str]:
        """What was asked for and cannot be had here, in words for the user."""
        return self.sync.warnings

    def ready(self) -> None:
        """Block until the root is set up and init waits. Raises StartError; the caller then calls `destroy`."""
        self.sync.expect("ready")

    def wait(self, *, blocking: bool = True) -> int | None:
        """Reap the process: its status as a shell would say it, or None if it still runs and not `blocking`. Repeatable."""
        if self.status is None:
            self.status = process.wait_pidfd(self.pidfd, blocking=blocking)
        return self.status

    def destroy(self) -> None:
        """Kill what runs, reap it, remove the cgroup, close all descriptors. Repeatable."""
        self._undo.close()

    def trace(self) -> list[dict[str, Any]]:
        """The steps of the child so far (empty without a tracer)."""
        return self.sync.steps

    def keep(self, undo: ExitStack) -> None:
        """Own `undo` from now on: `destroy` runs it."""
        self._undo = undo

    def tell(self, word: bytes) -> None:
        """Say a word of `sync` to the child."""
        self.sync.tell(word)

    def reap(self) -> None:
        """Kill it if it runs, and wait for its end."""
        if self.status is None:
            process.end(self.pidfd)


def adopt(pid: int, pidfd: int, ours: socket.socket, undo: ExitStack) -> InitProcess:
    """Take over a child just born: from now on `undo` kills and reaps it."""
    container = InitProcess(pid, pidfd, sync.Parent(ours), undo)
    undo.callback(os.close, pidfd)
    undo.callback(container.reap)
    return container


def read_program(path: str, at: At) -> bytes:
    """The seccomp program, read while its path still means something."""
    if not path:
        return b""
    at("read seccomp profile", path)
    with open(path, "rb", buffering=0) as file:
        return file.read()


def borrow(kind: str, path: str, births: ExitStack, back: ExitStack) -> None:
    """Enter the namespace at `path` (time: make a new one), and let `back` return us to our own."""
    flag = namespaces.FLAG[kind]
    ours = os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    births.callback(os.close, ours)
    back.callback(namespaces.setns, ours, flag)
    if path == NEW:
        namespaces.unshare(flag)
        return
    theirs = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    births.callback(os.close, theirs)
    namespaces.setns(theirs, flag)


def open_source(source: str, recursive: bool, births: ExitStack) -> int:
    """A descriptor of the mount at host path `source`, detached (open_tree(2)).

    A mount of another container (``/proc/PID/root/dev/shm``, shared with ``--ipc container:X``) can be copied only from
    inside the mount namespace that has it; the copy then belongs to nobody and may be attached in another.
    """
    foreign = _FOREIGN.fullmatch(source)
    if foreign is None:
        return mount.open_tree(source, recursive=recursive)
    with ExitStack() as back:
        borrow("mnt", f"/proc/{foreign[1]}/ns/mnt", births, back)
        return mount.open_tree(foreign[2], recursive=recursive)


def adjust_oom_score(pid: int, score: int | None, warnings: list[str]) -> None:
    """Set how soon the OOM killer takes `pid` (proc_pid_oom_score_adj(5)); going below needs CAP_SYS_RESOURCE."""
    if score is None:
        return
    with trace.step("oom_score_adj", score):
        try:
            with open(f"/proc/{pid}/oom_score_adj", "wb", buffering=0) as file:
                file.write(str(score).encode())
        except PermissionError:
            warnings.append(f"oom_score_adj {score} needs CAP_SYS_RESOURCE, which this machine does not give: ignored")


class At:
    """Where the parent stands: what an OSError that comes now is about."""

    def __init__(self, step: str) -> None:
        self.step, self.path = step, ""

    def __call__(self, step: str, path: str = "") -> None:
        self.step, self.path = step, path


@contextmanager
def stepping(step: str) -> Iterator[At]:
    """Turn an OSError inside the ``with`` into a StartError that says at which step and path it came."""
    at = At(step)
    try:
        yield at
    except OSError as e:
        detail = str(e) if isinstance(e, trace.InjectedFault) else ""
        raise StartError(at.step, at.path or str(e.filename or ""), e.errno or 0, detail) from e

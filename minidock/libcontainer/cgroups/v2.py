"""cgroup version 2: one directory for everything (Documentation/admin-guide/cgroup-v2.rst in the kernel).

::

    <mount>/cgroup.subtree_control             controllers handed down to minidock   ┐ "enabled down the path";
    <mount>/minidock/cgroup.subtree_control    … and to the containers               ┘ no process sits in these two
    <mount>/minidock/memory.max                the ceiling of the instance
    <mount>/minidock/<id>/                     cpu.weight, memory.max, pids.max …; the processes; not handed down further

"No internal processes": a cgroup that hands controllers down may hold no processes itself, so ``/minidock`` holds only
cgroups, the engine's own helpers among them in ``/minidock/shims``. There is no devices controller; a BPF program attached
to the directory decides instead (see linux/bpf.py).
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
from contextlib import ExitStack

from minidock.errors import NotSupported, SystemFault
from minidock.libcontainer import config
from minidock.libcontainer.cgroups import devices
from minidock.libcontainer.cgroups.hierarchy import Hierarchy, fault, mkdir, pids_below, read, remove_tree, rmdir, write

FREEZE_TIMEOUT = 10.0


class Manager:
    """The cgroup `path` in the unified tree. See `minidock.libcontainer.cgroups.Manager` for the methods."""

    def __init__(self, path: str, tree: Hierarchy) -> None:
        self.path = path
        self._tree = tree
        self._directory = tree.mountpoint + path

    def paths(self) -> dict[str, str]:
        """Every controller → the one directory; ``""`` too."""
        return dict.fromkeys(("", *self._tree.controllers), self._directory)

    def create(self, cgroup: config.Cgroup) -> None:
        """Make the directory, write the settings, attach the device program; on a fault all goes again."""
        with fault("create cgroup"), ExitStack() as undo:
            self._make()
            undo.callback(rmdir, self._directory)
            for name, value in cgroup.settings:
                self._set(name, value)
            if cgroup.devices:
                devices.attach(self._directory, cgroup.devices)
            undo.pop_all()

    def _make(self) -> None:
        try:
            mkdir(self._directory)
        except FileExistsError:  # of a run that was killed together with its engine
            remove_tree(self._directory)
            mkdir(self._directory)
        except FileNotFoundError:
            make_ancestors(self._tree, os.path.dirname(self.path))
            mkdir(self._directory)

    def _set(self, name: str, value: str) -> None:
        controller = name.partition(".")[0]
        try:
            write(f"{self._directory}/{name}", value)
        except FileNotFoundError:
            raise NotSupported(f"cgroup: controller {controller} is not enabled here, so {name} cannot be set") from None

    def join(self, pid: int) -> None:
        """Move a process from outside."""
        with fault("join cgroup"):
            write(f"{self._directory}/cgroup.procs", str(pid))

    def fd(self) -> int | None:
        """A descriptor of the directory for clone3(2)'s CLONE_INTO_CGROUP; the caller closes it."""
        with fault("open cgroup"):
            return os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def join_self(self) -> None:
        """Nothing: whoever was cloned into `fd` is here already."""

    def pids(self) -> list[int]:
        """All processes in here and below."""
        with fault("read cgroup"):
            return pids_below(self._directory)

    def freeze(self) -> None:
        """Write cgroup.freeze, then wait for the event ``frozen 1`` in cgroup.events."""
        try:
            write(f"{self._directory}/cgroup.freeze", "1")
            self._wait_event("frozen", 1, FREEZE_TIMEOUT)
        except TimeoutError:
            self.thaw()
            raise SystemFault("freeze cgroup", self._directory, errno.EBUSY) from None
        except OSError as e:
            raise SystemFault.from_oserror("freeze cgroup", e) from e

    def _wait_event(self, key: str, value: int, timeout: float) -> None:
        """Wait until cgroup.events says `key` `value`: the kernel signals each change as POLLPRI."""
        deadline = time.monotonic() + timeout
        fd = os.open(f"{self._directory}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        try:
            poll = select.poll()
            poll.register(fd, select.POLLPRI)
            while f"{key} {value}\n".encode() not in os.pread(fd, 4096, 0):
                left = deadline - time.monotonic()
                if left <= 0 or not poll.poll(left * 1000):
                    raise TimeoutError(f"{self._directory}: {key} did not become {value}")
        finally:
            os.close(fd)

    def thaw(self) -> None:
        """Write 0 to cgroup.freeze."""
        with fault("thaw cgroup"):
            write(f"{self._directory}/cgroup.freeze", "0")

    def frozen(self) -> bool:
        """What cgroup.freeze says: a freeze is in force."""
        try:
            return read(f"{self._directory}/cgroup.freeze").strip() == "1"
        except FileNotFoundError:
            return False

    def kill(self) -> None:
        """Write cgroup.kill (Linux 5.14): the kernel does it at once, forks included, frozen ones too."""
        try:
            write(f"{self._directory}/cgroup.kill", "1")
        except FileNotFoundError:
            if os.path.isdir(self._directory):
                self._kill_one_by_one()

    def _kill_one_by_one(self) -> None:
        """Before Linux 5.14: signal all until no new one appears, then make sure that they are not frozen."""
        signalled: set[int] = set()
        while new := set(self.pids()) - signalled:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            signalled |= new
        if self.frozen():
            self.thaw()

    def oom_kills(self) -> int:
        """``oom_kill`` of memory.events, which counts this cgroup and those below."""
        try:
            text = read(f"{self._directory}/memory.events")
        except FileNotFoundError:
            return 0
        return int(dict(line.split() for line in text.splitlines()).get("oom_kill", 0))

    def remove(self) -> None:
        """Remove the directory; the device program goes with it."""
        remove_tree(self._directory)


def make_ancestors(tree: Hierarchy, path: str) -> list[str]:
    """Make `path` below the mount point and hand all controllers down to what will be made in it.

    Returns warnings for controllers that could not be handed down. Raises OSError.
    """
    warnings = _hand_down(tree.mountpoint, tree.controllers)
    directory = tree.mountpoint
    for part in filter(None, path.split("/")):
        directory = f"{directory}/{part}"
        with contextlib.suppress(FileExistsError):
            mkdir(directory)
        warnings += _hand_down(directory, tuple(read(f"{directory}/cgroup.controllers").split()))
    return warnings


def _hand_down(directory: str, controllers: tuple[str, ...]) -> list[str]:
    """Enable controllers for the children of `directory`, one by one: one that refuses takes no other along."""
    enabled = set(read(f"{directory}/cgroup.subtree_control").split())
    warnings = []
    for controller in controllers:
        if controller in enabled:
            continue
        try:
            write(f"{directory}/cgroup.subtree_control", f"+{controller}")
        except OSError as e:
            warnings.append(f"cgroup: {controller} cannot be enabled below {directory}: {os.strerror(e.errno or 0).lower()}")
    return warnings

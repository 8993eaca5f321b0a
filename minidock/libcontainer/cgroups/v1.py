"""cgroup version 1: one directory per mounted hierarchy (cgroups(7), Documentation/admin-guide/cgroup-v1/ in the kernel).

::

    <mount>/cpu/minidock/<id>/       cpu.shares, cpu.cfs_quota_us …        <mount>/devices/minidock/<id>/   devices.allow
    <mount>/memory/minidock/<id>/    memory.limit_in_bytes …               <mount>/freezer/minidock/<id>/   freezer.state
    <mount>/systemd/minidock/<id>/   (name=systemd) nothing to set: being there keeps systemd from counting the container
                                     to the login session that started it, and from killing it when that session closes
    <mount>/unified/minidock/<id>/   (hybrid hosts) the empty v2 tree, as runc joins it: systemd tracks sessions in it

Joining. A write to ``cgroup.procs`` takes a lock against all forks of the machine, which after an idle moment waits for
an RCU grace period: 7-15 ms for nine hierarchies. A thread that moves only itself needs no such lock (kernel commit
9a3284fad42f, "cgroup: Optimize single thread migration"): writing ``0`` to ``tasks`` takes 0.3 ms for all nine. A v2
tree has no such file, but a process can be born in it (CLONE_INTO_CGROUP). So: clone3 into `fd`, then `join_self`;
`join` is for what must be moved from outside.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack

from minidock.errors import NotSupported, SystemFault
from minidock.libcontainer import config
from minidock.libcontainer.cgroups.hierarchy import (
    Hierarchy,
    below,
    fault,
    mkdir,
    pids_below,
    read,
    remove_tree,
    rmdir,
    write,
)
from minidock.linux.trace import traced

# How long `freeze` waits, in seconds. A task in uninterruptible sleep (a dead NFS server) never freezes on v1.
FREEZE_TIMEOUT = 10.0


class Manager:
    """The cgroup `path` in every mounted v1 hierarchy. See `minidock.libcontainer.cgroups.Manager` for the methods."""

    def __init__(self, path: str, trees: Sequence[Hierarchy]) -> None:
        self.path = path
        self._mounts = {c: h.mountpoint for h in trees for c in h.controllers if h.version == 1}
        hybrid = next((h for h in trees if h.version == 2), None)
        if hybrid:
            self._mounts[""] = hybrid.mountpoint
        # Controllers mounted together (cpu,cpuacct) share one directory.
        self._roots = list(dict.fromkeys(self._mounts.values()))

    def paths(self) -> dict[str, str]:
        """Controller → directory."""
        return {controller: mount + self.path for controller, mount in self._mounts.items()}

    def create(self, cgroup: config.Cgroup) -> None:
        """Make the directories, then write settings and device rules; on a fault the directories go again."""
        with fault("create cgroup"), ExitStack() as undo:
            for root in self._roots:
                self._make(root, undo)
            for name, value in cgroup.settings:
                write(self._file(name), value)
            self._allow_devices(cgroup.devices)
            undo.pop_all()

    def _make(self, root: str, undo: ExitStack) -> None:
        directory = root + self.path
        try:
            mkdir(directory)
        except FileExistsError:  # of a run that was killed together with its engine
            remove_tree(directory)
            mkdir(directory)
        except FileNotFoundError:
            make_ancestors(root, os.path.dirname(self.path))
            mkdir(directory)
        undo.callback(rmdir, directory)
        if root == self._mounts.get("cpuset"):
            fill_cpuset(directory)

    def _file(self, name: str) -> str:
        """The path of a control file: its name begins with its controller's."""
        controller = name.partition(".")[0]
        if controller not in self._mounts:
            raise NotSupported(f"cgroup: {controller} is not mounted, so {name} cannot be set")
        return f"{self._mounts[controller]}{self.path}/{name}"

    def _allow_devices(self, rules: tuple[config.DeviceRule, ...]) -> None:
        """Deny all, then follow the rules in order (cgroup-v1/devices.rst). No rules: what the parent allows.

        A later deny takes access from the rule with the same numbers; it cannot take one number out of a wildcard.
        """
        if not rules or "devices" not in self._mounts:
            return
        write(self._file("devices.deny"), "a")
        for allow, lines in itertools.groupby(rules, lambda rule: rule.allow):
            write(self._file("devices.allow" if allow else "devices.deny"), *map(device_line, lines))

    def join(self, pid: int) -> None:
        """Move a process from outside, in every hierarchy and in the unified tree of a hybrid host."""
        self._join(self._roots, "cgroup.procs", pid)

    def join_self(self) -> None:
        """Move the calling thread, its process's only one, in the v1 hierarchies."""
        unified = self._mounts.get("")
        self._join([root for root in self._roots if root != unified], "tasks", 0)

    def _join(self, roots: list[str], file: str, pid: int) -> None:
        for root in roots:
            with fault("join cgroup"):
                write(f"{root}{self.path}/{file}", str(pid))

    def fd(self) -> int | None:
        """The directory in a hybrid host's unified tree; None on a host that is v1 alone."""
        if "" not in self._mounts:
            return None
        with fault("open cgroup"):
            return os.open(self._mounts[""] + self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def pids(self) -> list[int]:
        """As the freezer's hierarchy has them, or else the first one's."""
        with fault("read cgroup"):
            return pids_below(self._mounts.get("freezer", self._roots[0]) + self.path)

    def freeze(self) -> None:
        """FROZEN, and wait for it. The kernel has no event for "all have stopped" on v1; reading the state updates it."""
        path = self._file("freezer.state")
        deadline, pause = time.monotonic() + FREEZE_TIMEOUT, 0.0002
        with fault("freeze cgroup"):
            write(path, "FROZEN")
            while read(path).strip() != "FROZEN":
                if time.monotonic() > deadline:
                    write(path, "THAWED")
                    raise SystemFault("freeze cgroup", path, errno.EBUSY)
                time.sleep(pause)
                pause = min(pause * 2, 0.01)

    def thaw(self) -> None:
        """THAWED."""
        with fault("thaw cgroup"):
            write(self._file("freezer.state"), "THAWED")

    def frozen(self) -> bool:
        """Whether a freeze is in force (FREEZING counts)."""
        path = self.paths().get("freezer")
        try:
            return path is not None and read(f"{path}/freezer.state").strip() != "THAWED"
        except FileNotFoundError:
            return False

    def kill(self) -> None:
        """SIGKILL to all, under a freeze so that no fork runs ahead of us; then a thaw, so that they can die.

        We need not wait until all have stopped: who is mid-fork when its signal comes does not finish the fork
        (copy_process checks for it), and who was born before is in the next reading of the list.
        """
        freezer = f"{self.paths().get('freezer', '')}/freezer.state"
        with ExitStack() as undo:
            if self.pids() and "freezer" in self._mounts:
                with contextlib.suppress(FileNotFoundError):
                    write(freezer, "FROZEN")
                    undo.callback(_write_if_there, freezer, "THAWED")
            signalled: set[int] = set()
            while new := set(self.pids()) - signalled:
                for pid in new:
                    with contextlib.suppress(ProcessLookupError):
                        kill(pid)
                signalled |= new

    def oom_kills(self) -> int:
        """The sum of ``oom_kill`` in memory.oom_control here and below: v1 counts where the victim was."""
        directory = self.paths().get("memory")
        total = 0
        for cgroup in below(directory) if directory else ():
            with contextlib.suppress(FileNotFoundError):
                fields = dict(line.split() for line in read(f"{cgroup}/memory.oom_control").splitlines())
                total += int(fields.get("oom_kill", 0))
        return total

    def remove(self) -> None:
        """Remove the directories in all hierarchies."""
        for root in self._roots:
            remove_tree(root + self.path)


@traced
def kill(pid: int) -> None:
    """SIGKILL to one process (kill(2))."""
    os.kill(pid, signal.SIGKILL)


def _write_if_there(path: str, value: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        write(path, value)


def device_line(rule: config.DeviceRule) -> str:
    """``c 1:3 rwm``, ``b *:* m``: one rule as devices.allow and devices.deny take it."""
    numbers = ":".join("*" if n < 0 else str(n) for n in (rule.major, rule.minor))
    return f"{rule.kind} {numbers} {rule.access}"


def make_ancestors(mountpoint: str, path: str) -> None:
    """Make `path` (``/a/b``) below a mount point, each level if it is missing. Raises OSError."""
    directory = mountpoint
    for part in path.strip("/").split("/"):
        if not part:
            continue
        directory = f"{directory}/{part}"
        try:
            mkdir(directory)
        except FileExistsError:
            continue
        if os.path.exists(f"{directory}/cpuset.cpus"):
            fill_cpuset(directory)
            # From here on the kernel copies cpus and mems into each new child by itself (cgroup-v1/cgroups.rst).
            write(f"{directory}/cgroup.clone_children", "1")


def fill_cpuset(directory: str) -> None:
    """A new cpuset is empty and takes no process until it has CPUs and memory nodes: give it its parent's.

    cgroup-v1/cpusets.rst; libcontainer's ensureParent does the same. A parent made by hand may be empty too; the root
    never is. Nothing to do below a cgroup with clone_children.
    """
    parent = os.path.dirname(directory)
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not read(f"{directory}/{name}").strip():
            value = read(f"{parent}/{name}").strip()
            if not value:
                fill_cpuset(parent)
                value = read(f"{parent}/{name}").strip()
            write(f"{directory}/{name}", value)

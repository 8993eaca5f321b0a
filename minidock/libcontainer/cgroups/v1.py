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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from minidock.errors import NotSupported, SystemFault
from minidock.libcontainer.cgroups import stats, v2
from minidock.libcontainer.cgroups.hierarchy import (
    Hierarchy,
    fault,
    mkdir,
    pids_below,
    read,
    remove_tree,
    rmdir,
    write,
    write_all,
)
from minidock.linux.trace import traced

if TYPE_CHECKING:
    from minidock.libcontainer import config
    from minidock.libcontainer.cgroups.resources import Resources  # it imports us

# How long `freeze` waits, in seconds. A task in uninterruptible sleep (a dead NFS server) never freezes on v1.
FREEZE_TIMEOUT = 10.0


# Resources' field → the file that holds it, or several of which the first that is there is taken; in the order of writing:
# on a fresh cgroup the limit of memory comes before that of memory and swap, which may never be the smaller.
# The weights are bfq's; before Linux 5.0 they were cfq's (block/bfq-cgroup.c, Documentation/block/bfq-iosched.rst).
FILES: dict[str, tuple[str, ...]] = {
    "cpuset_cpus": ("cpuset.cpus",),
    "cpuset_mems": ("cpuset.mems",),
    "cpu_shares": ("cpu.shares",),
    "cpu_period": ("cpu.cfs_period_us",),
    "cpu_quota": ("cpu.cfs_quota_us",),
    "memory": ("memory.limit_in_bytes",),
    "memory_swap": ("memory.memsw.limit_in_bytes",),
    "memory_reservation": ("memory.soft_limit_in_bytes",),
    "memory_swappiness": ("memory.swappiness",),
    "oom_kill_disable": ("memory.oom_control",),
    "pids_limit": ("pids.max",),
    "blkio_weight": ("blkio.bfq.weight", "blkio.weight"),
    "blkio_weight_device": ("blkio.bfq.weight_device", "blkio.weight_device"),
    "throttle_read_bps": ("blkio.throttle.read_bps_device",),
    "throttle_write_bps": ("blkio.throttle.write_bps_device",),
    "throttle_read_iops": ("blkio.throttle.read_iops_device",),
    "throttle_write_iops": ("blkio.throttle.write_iops_device",),
}
# By page size. On a hybrid host the controller may have stayed in the unified tree, where its file is max.
HUGETLB = ("hugetlb.{}.max", "hugetlb.{}.limit_in_bytes")


def settings(resources: Resources, has: Callable[[str], bool]) -> tuple[tuple[str, str], ...]:
    """(file, value) in the order of writing for a fresh v1 cgroup; a file that this machine has not (`has`) is left out.

    Numbers are written as they are (cgroup-v1/memory.rst, cpusets.rst, blkio-controller.rst, scheduler/sched-bwc.rst).
    Unlimited memory with nothing said about swap takes the limit of both away, as runc does.
    """
    result = []
    for field, files in FILES.items():
        value = getattr(resources, field)
        if field == "memory_swap" and value is None and resources.memory == -1:
            value = -1
        if value not in (None, ()) and (file := next(filter(has, files), None)):
            result += [(file, text) for text in _values(field, value)]
    for size, limit in resources.hugetlb:
        if file := next(filter(has, (name.format(size) for name in HUGETLB)), None):
            result.append((file, "max" if limit == -1 and file.endswith(".max") else str(limit)))
    return tuple(result)


def _values(field: str, value: Any) -> Iterator[str]:
    """What is written for one field, one string per write(2)."""
    if isinstance(value, tuple):
        yield from (f"{major}:{minor} {max(number, 0)}" for major, minor, number in value)  # a rate of 0 is no limit
    elif field == "pids_limit" and value == -1:
        yield "max"
    else:
        yield str(int(value) if isinstance(value, bool) else value)


def in_safe_order(changes: Sequence[tuple[str, str]], current: Callable[[str], str]) -> list[tuple[str, str]]:
    """`changes` to a cgroup in use so that no step is one which the kernel refuses. `current` reads a file.

    memory ≤ memory+swap holds at every moment (mm/memcontrol-v1.c): where the new memory is more than the old sum, the sum
    grows first. A quota's share of its period may not exceed the parent's, not even between two writes
    (kernel/sched/core.c, __cfs_schedulable): a period that becomes shorter comes after its quota.
    """
    order = dict(changes)
    memory, swap = FILES["memory"][0], FILES["memory_swap"][0]
    period, quota = FILES["cpu_period"][0], FILES["cpu_quota"][0]
    first = []
    if {memory, swap} <= order.keys() and (order[memory] == "-1" or int(order[memory]) > int(current(swap))):
        first.append(swap)
    if {period, quota} <= order.keys() and int(order[period]) < int(current(period)):
        first.append(quota)
    return sorted(changes, key=lambda change: change[0] not in first)


class Manager:
    """The cgroup `path` in every mounted v1 hierarchy. See `minidock.libcontainer.cgroups.Manager` for the methods."""

    def __init__(self, path: str, trees: Sequence[Hierarchy]) -> None:
        self.path = path
        self._mounts = {c: h.mountpoint for h in trees for c in h.controllers if h.version == 1}
        hybrid = next((h for h in trees if h.version == 2), None)
        if hybrid:
            self._mounts[""] = hybrid.mountpoint
        self._hybrid = hybrid
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
            self._hand_down(name for name, _ in cgroup.settings)
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

    def _mount(self, name: str) -> str | None:
        """Where the control file's controller is mounted: its name begins with it. A hybrid host's v2 tree has some too."""
        controller = name.partition(".")[0]
        if controller not in self._mounts and self._hybrid and controller in self._hybrid.controllers:
            return self._hybrid.mountpoint
        return self._mounts.get(controller)

    def _file(self, name: str) -> str:
        mount = self._mount(name)
        if mount is None:
            raise NotSupported(f"cgroup: {name.partition('.')[0]} is not mounted, so {name} cannot be set")
        return f"{mount}{self.path}/{name}"

    def _has(self, name: str) -> bool:
        return self._mount(name) is not None and os.path.exists(self._file(name))

    def _hand_down(self, names: Iterable[str]) -> None:
        """For files in a hybrid host's v2 tree: their controllers reach us only if every cgroup above hands them down."""
        if self._hybrid and any(name.partition(".")[0] in self._hybrid.controllers for name in names):
            v2.make_ancestors(self._hybrid, os.path.dirname(self.path))

    def update(self, resources: Resources) -> None:
        """Write what is asked for, in an order that the kernel accepts; on a fault the old values are put back."""
        with fault("update cgroup"):
            if not any(map(os.path.isdir, self.paths().values())):  # not all: a hierarchy may be mounted since
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
            self._hand_down(name.format(size) for name in HUGETLB for size, _ in resources.hugetlb)
            changes = in_safe_order(settings(resources, self._has), lambda name: read(self._file(name)))
            write_all([(self._file(name), value) for name, value in changes])

    def stats(self) -> stats.Stats:
        """From cpuacct, cpu, memory, pids and blkio."""
        with fault("read cgroup"):
            return stats.sample_v1(self.paths())

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
        """See `stats.oom_kills_v1`."""
        return stats.oom_kills_v1(self.paths().get("memory"))

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

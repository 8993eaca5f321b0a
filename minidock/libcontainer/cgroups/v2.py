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
import math
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from minidock.errors import InvalidParameter, NotSupported, SystemFault
from minidock.libcontainer.cgroups import stats
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

if TYPE_CHECKING:
    from minidock.libcontainer import config
    from minidock.libcontainer.cgroups.resources import Resources  # it imports us

FREEZE_TIMEOUT = 10.0

# Resources' field → the file that holds it, or several of which the first that is there is taken. memory_swappiness and
# oom_kill_disable ended with v1: swappiness is the machine's, and an OOM always kills.
FILES: dict[str, tuple[str, ...]] = {
    "cpuset_cpus": ("cpuset.cpus",),
    "cpuset_mems": ("cpuset.mems",),
    "cpu_shares": ("cpu.weight",),
    "cpu_period": ("cpu.max",),
    "cpu_quota": ("cpu.max",),
    "memory": ("memory.max",),
    "memory_swap": ("memory.swap.max",),
    "memory_reservation": ("memory.low",),
    "memory_swappiness": (),
    "oom_kill_disable": (),
    "pids_limit": ("pids.max",),
    "blkio_weight": ("io.bfq.weight", "io.weight"),
    "blkio_weight_device": ("io.bfq.weight", "io.weight"),
    "throttle_read_bps": ("io.max",),
    "throttle_write_bps": ("io.max",),
    "throttle_read_iops": ("io.max",),
    "throttle_write_iops": ("io.max",),
}
# The key in io.max of each rate.
_IO_MAX = {
    "throttle_read_bps": "rbps",
    "throttle_write_bps": "wbps",
    "throttle_read_iops": "riops",
    "throttle_write_iops": "wiops",
}


def settings(resources: Resources, has: Callable[[str], bool]) -> tuple[tuple[str, str], ...]:
    """(file, value) in the order of writing for a v2 cgroup; a file that this machine has not (`has`) is left out.

    The translation of v1's numbers is runc's (opencontainers/cgroups fs2) and crun's (crun.1, "CGROUP v2"). Raises
    InvalidParameter for a memory+swap without memory, or smaller than it: v2 limits swap alone.
    """
    pairs = [pair for pair in _pairs(resources, has("io.bfq.weight")) if has(pair[0])]
    return tuple(pairs)


def _pairs(r: Resources, bfq: bool) -> Iterator[tuple[str, str]]:
    for file, text in (("cpuset.cpus", r.cpuset_cpus), ("cpuset.mems", r.cpuset_mems)):
        if text is not None:
            yield file, text
    if r.cpu_shares is not None:
        yield "cpu.weight", cpu_weight(r.cpu_shares)
    if r.cpu_quota is not None or r.cpu_period is not None:
        yield "cpu.max", cpu_max(r.cpu_quota, r.cpu_period)
    if r.memory is not None:
        yield "memory.max", limit(r.memory)
    if r.memory_swap is not None or r.memory == -1:
        yield "memory.swap.max", swap_max(r.memory, r.memory_swap)
    if r.memory_reservation is not None:
        yield "memory.low", limit(r.memory_reservation)
    if r.pids_limit is not None:
        yield "pids.max", limit(r.pids_limit)
    weight_file, weight = ("io.bfq.weight", str) if bfq else ("io.weight", io_weight)
    if r.blkio_weight is not None:
        yield weight_file, weight(r.blkio_weight)
    for major, minor, number in r.blkio_weight_device:
        yield weight_file, f"{major}:{minor} {weight(number)}"
    yield from (("io.max", line) for line in io_max(r))
    for size, most in r.hugetlb:
        yield f"hugetlb.{size}.max", limit(most)


def limit(value: int) -> str:
    """A number as it is, -1 as the word that v2 has for it."""
    return "max" if value == -1 else str(value)


def cpu_weight(shares: int) -> str:
    """``--cpu-shares`` (2 to 262144, usual 1024) as a v2 weight (1 to 10000, usual 100).

    The formula of runc since 1.3.2 and crun since 1.23, which sends 1024 to 100 (opencontainers/cgroups v0.0.3); ratios
    between containers are not kept, 1000:500 becomes 1.71 to 1.
    """
    if shares <= 2:
        return "1"
    if shares >= 262144:
        return "10000"
    exponent = math.log2(shares)
    return str(math.ceil(10 ** ((exponent * exponent + 125 * exponent) / 612 - 7 / 34)))


def cpu_weight_old(shares: int) -> str:
    """The weight that runc before 1.3.2 and crun before 1.23 wrote (runc 1.0 libcontainer/cgroups/utils.go).

    A straight line from (2, 1) to (262144, 10000), so that ratios nearly stay, 1000:500 becomes 2.05 to 1; but 1024 becomes
    39, and a container of the usual shares loses 100:39 against a cgroup of the usual weight. For comparison: nothing of
    ours writes it.
    """
    shares = min(max(shares, 2), 262144)
    return str(1 + (shares - 2) * 9999 // 262142)


def io_weight(weight: int) -> str:
    """``--blkio-weight`` (10 to 1000) as io.weight (1 to 10000): the straight line of runc's ConvertBlkIOToIOWeightValue.

    io.bfq.weight takes the number as it is (1 to 1000).
    """
    return str(1 + (weight - 10) * 9999 // 990)


def cpu_max(quota: int | None, period: int | None) -> str:
    """``QUOTA PERIOD`` in µs. No period: 100 ms, the kernel's own; no quota or -1: ``max``."""
    return f"{limit(quota or -1)} {period or 100_000}"


def swap_max(memory: int | None, memory_swap: int | None) -> str:
    """Swap alone, from memory and memory+swap in bytes (runc's ConvertMemorySwapToCgroupV2Value). Raises InvalidParameter."""
    if memory_swap in (None, -1):  # memory without limit takes swap along
        return "max"
    assert memory_swap is not None
    if memory is None:
        raise InvalidParameter("unable to set swap limit without memory limit")
    if memory < 0 or memory_swap < memory:
        raise InvalidParameter("memory+swap limit should be >= memory limit")
    return str(memory_swap - memory)


def io_max(resources: Resources) -> list[str]:
    """``8:0 rbps=1048576 wiops=100``: one line per device, with the rates that are asked for; 0 and -1 are no limit."""
    lines: dict[str, list[str]] = {}
    for field, key in _IO_MAX.items():
        for major, minor, rate in getattr(resources, field):
            lines.setdefault(f"{major}:{minor}", []).append(f"{key}={rate if rate > 0 else 'max'}")
    return [" ".join((device, *rates)) for device, rates in lines.items()]


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
                from minidock.libcontainer.cgroups import devices  # here: who only looks at a cgroup needs no rules

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
        warnings: list[str] = []
        if controller in self._tree.controllers and not self._has(name):
            # Below a --cgroup-parent that somebody made and that hands nothing down yet.
            warnings = make_ancestors(self._tree, os.path.dirname(self.path))
        try:
            write(f"{self._directory}/{name}", value)
        except FileNotFoundError:
            why = "; ".join((f"cgroup: controller {controller} is not enabled here, so {name} cannot be set", *warnings))
            raise NotSupported(why) from None

    def _has(self, name: str) -> bool:
        return os.path.exists(f"{self._directory}/{name}")

    def update(self, resources: Resources) -> None:
        """Write what is asked for; on a fault the old values are put back.

        A memory limit below what is in use does not fail here as it does on v1: the kernel reclaims, swaps, and kills in
        the end. So memory comes before swap, while the old, perhaps larger, room in swap is still there.
        """
        with fault("update cgroup"):
            os.stat(self._directory)  # gone is a fault, not a cgroup without files
            changes = settings(self._complete(resources), self._has)
            write_all([(f"{self._directory}/{name}", value) for name, value in changes])

    def _complete(self, wanted: Resources) -> Resources:
        """`wanted` with the other half of what v2 keeps in one number or one file, from what holds now."""
        if wanted.cpu_period is not None and wanted.cpu_quota is None and self._has("cpu.max"):
            wanted = wanted._replace(cpu_quota=_number(read(f"{self._directory}/cpu.max").split()[0]))
        elif wanted.cpu_quota is not None and wanted.cpu_period is None and self._has("cpu.max"):
            wanted = wanted._replace(cpu_period=int(read(f"{self._directory}/cpu.max").split()[1]))
        if wanted.memory_swap is not None and wanted.memory is None and self._has("memory.max"):
            wanted = wanted._replace(memory=_number(read(f"{self._directory}/memory.max").strip()))
        return wanted

    def stats(self) -> stats.Stats:
        """From cpu.stat, memory.*, pids.* and io.stat."""
        with fault("read cgroup"):
            return stats.sample_v2(self._directory)

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
        return stats.oom_kills_v2(self._directory)

    def delegate(self, uid: int, gid: int) -> None:
        """Let `uid`:`gid` make cgroups in here and move its processes among them; what limits this cgroup stays ours.

        The files to hand over are those that the kernel names in /sys/kernel/cgroup/delegate, and the directory itself
        (cgroup-v2.rst, "Delegation"). v1 has no safe way to do this.
        """
        with fault("delegate cgroup"):
            os.chown(self._directory, uid, gid)
            for name in read("/sys/kernel/cgroup/delegate").split():
                with contextlib.suppress(FileNotFoundError):  # of a controller that is not handed down to here
                    os.chown(f"{self._directory}/{name}", uid, gid)

    def remove(self) -> None:
        """Remove the directory; the device program goes with it."""
        remove_tree(self._directory)


def _number(text: str) -> int:
    return -1 if text == "max" else int(text)


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
    """Enable controllers for the children of `directory`, one by one: one that refuses takes no other along.

    Not where processes sit ("no internal processes"; the root of all is exempt). The kernel would refuse memory and io, but
    take cpu, cpuset and pids, and thereby make a threaded domain, whose other children no process can enter.
    """
    missing = [c for c in controllers if c not in read(f"{directory}/cgroup.subtree_control").split()]
    if missing and _holds_processes(directory):
        why = "it holds processes itself; move them into a cgroup below it"
        return [f"cgroup: {', '.join(missing)} cannot be enabled below {directory}: {why}"]
    warnings = []
    for controller in missing:
        try:
            write(f"{directory}/cgroup.subtree_control", f"+{controller}")
        except OSError as e:
            warnings.append(f"cgroup: {controller} cannot be enabled below {directory}: {os.strerror(e.errno or 0).lower()}")
    return warnings


def _holds_processes(directory: str) -> bool:
    """Whether a cgroup other than the root of all, which alone has no cgroup.type, has processes of its own."""
    try:
        kind = read(f"{directory}/cgroup.type").strip()
    except FileNotFoundError:
        return False
    return kind == "threaded" or bool(read(f"{directory}/cgroup.procs").strip())

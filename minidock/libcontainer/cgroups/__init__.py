"""Control groups: where a container's processes are counted, limited, frozen and killed as one.

Two versions of the kernel's interface are in use, and both are equals here (cgroups(7))::

    v1   one tree per controller, wherever it is mounted                     v2   one tree for all
         <mount of cpu>/minidock/<id>/cpu.shares                                  <mount>/minidock/<id>/cpu.weight
         <mount of memory>/minidock/<id>/memory.limit_in_bytes                    <mount>/minidock/<id>/memory.max
         <mount of name=systemd>/minidock/<id>/                                   (no named hierarchies)

A *hybrid* host has the controllers on v1 and an empty v2 tree beside them. The container is placed in that one too, as runc
does (the "" subsystem of its fs manager): nothing is limited there, but ``iptables -m cgroup --path`` and BPF look at it.

The mount points come from /proc/self/mountinfo, never from habit. A hierarchy that is not mounted is left alone.

The life of a container's cgroup::

    ensure_parent("/minidock")            once per boot: the ceiling above all containers of the instance
    m = manager("/minidock/<id>")
    m.create(config.cgroup)               directories, settings, devices: all or nothing
    m.fd()                                for clone3's CLONE_INTO_CGROUP: the new process is born in the unified tree
    m.join_self()                         by the new process: into the trees that clone3 does not know (v1)
    m.join(pid)                           or both from outside, slower on v1
    m.freeze() … m.thaw()
    m.kill()                              everything inside, also what forked away
    m.oom_kills()                         still answers when the processes are gone
    m.remove()                            repeatable
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from minidock.errors import SystemFault
from minidock.libcontainer.cgroups import resources, v1, v2
from minidock.libcontainer.cgroups.hierarchy import Hierarchy as Hierarchy
from minidock.libcontainer.cgroups.hierarchy import available_cpuset as available_cpuset
from minidock.libcontainer.cgroups.hierarchy import fault, mkdir, read, unified, write
from minidock.libcontainer.cgroups.hierarchy import hierarchies as hierarchies
from minidock.libcontainer.cgroups.hierarchy import pids_below as pids_below
from minidock.libcontainer.cgroups.hierarchy import rmdir as rmdir
from minidock.libcontainer.cgroups.hierarchy import thaw_below as thaw_below
from minidock.libcontainer.cgroups.resources import Resources as Resources
from minidock.libcontainer.cgroups.resources import from_host_config as from_host_config
from minidock.libcontainer.cgroups.resources import kernel_memory as kernel_memory
from minidock.libcontainer.cgroups.resources import present as present
from minidock.libcontainer.cgroups.stats import Stats as Stats
from minidock.libcontainer.cgroups.v2 import cpu_weight as cpu_weight

if TYPE_CHECKING:
    from minidock.libcontainer import config


class Manager(Protocol):
    """One cgroup, in all hierarchies at once. Every method raises SystemFault with the file's path."""

    path: str

    def create(self, cgroup: config.Cgroup) -> None:
        """Make the directories, write the settings and the device rules, or undo it all again."""
        ...

    def join(self, pid: int) -> None:
        """Put process `pid` (with all its threads) in, everywhere. On v1 after an idle moment this waits 7-15 ms for RCU."""
        ...

    def fd(self) -> int | None:
        """The directory in the unified tree, for clone3's CLONE_INTO_CGROUP; the caller closes it. None: no such tree."""
        ...

    def join_self(self) -> None:
        """Put the calling, single-threaded process into all v1 hierarchies, without that wait (0.3 ms).

        For a process that was cloned into `fd`: on a v2 machine there is nothing left to do, on a hybrid one the
        unified tree is done. The host's cgroup mounts must still be in sight.
        """
        ...

    def pids(self) -> list[int]:
        """The processes inside, in this cgroup and in those made below it."""
        ...

    def freeze(self) -> None:
        """Stop all processes inside; returns when they have stopped."""
        ...

    def thaw(self) -> None:
        """Let them go on."""
        ...

    def frozen(self) -> bool:
        """Whether a freeze is in force. False when the cgroup is gone."""
        ...

    def kill(self) -> None:
        """SIGKILL to every process inside, none forgotten; does not wait for their end. Nothing there: nothing done."""
        ...

    def update(self, resources: Resources) -> None:
        """Change the limits of a cgroup in use: at once, and all or none.

        Fields that are None stay as they are; what this machine cannot hold is left out. When the kernel refuses a value
        (EBUSY: v1 could not reclaim down to a memory limit), what was written before it is put back.
        """
        ...

    def stats(self) -> Stats:
        """One sample of the counters (0.3 ms). A fault when the cgroup is gone."""
        ...

    def oom_kills(self) -> int:
        """How many processes the kernel killed in here for lack of memory; 0 without a memory controller."""
        ...

    def remove(self) -> None:
        """Remove the directories, and cgroups made below them. Repeatable. A fault when processes remain inside."""
        ...

    def paths(self) -> dict[str, str]:
        """Controller → directory; named hierarchies as ``name=systemd``, a unified tree as ``""``."""
        ...


def version(trees: Sequence[Hierarchy] = ()) -> int:
    """2 when the unified hierarchy has the usual controllers; 1 otherwise, also on a hybrid host."""
    return 2 if unified(trees or hierarchies()) else 1


def manager(path: str, trees: Sequence[Hierarchy] = ()) -> Manager:
    """The manager for the cgroup `path` (``/minidock/<id>``) in `trees`, by default in whatever is mounted. Makes nothing yet.

    Raises SystemFault when no cgroup hierarchy is mounted at all.
    """
    trees = trees or hierarchies()
    if tree := unified(trees):
        return v2.Manager(path, tree)
    if not any(h.version == 1 for h in trees):
        raise SystemFault("find cgroups", "/proc/self/mountinfo", detail="no cgroup hierarchy is mounted")
    return v1.Manager(path, trees)


def directories(group: Manager | None) -> dict[str, str] | None:
    """What a container's /sys/fs/cgroup is made of: `group`'s directories on v1; None on v2, where it is a mount of its own."""
    paths = group.paths() if group else {}
    return paths if paths.keys() - {""} else None


def ensure_parent(path: str) -> list[str]:
    """Make the instance's own cgroup (``/minidock``) with its ceilings, unless it is there; returns warnings.

    The ceilings keep an experiment from taking the machine along (a container leaves the session's own memory cgroup,
    so without one its hunger would be the whole machine's): memory, see `memory_ceiling`; three quarters of the
    processes that the kernel can have. Costs 0.3 ms when all is there.
    """
    trees = hierarchies()
    tree = unified(trees)
    directories = manager(path, trees).paths()
    with fault("create cgroup"):
        if tree and _has_ceiling(f"{directories['']}/memory.max"):
            return []
        if not tree and all(map(os.path.isdir, directories.values())):
            return []
        warnings = v2.make_ancestors(tree, path) if tree else []
        # The limited trees first: a v1 parent that is there in all hierarchies has its ceilings, even if we die between.
        for controller in sorted(directories, key=lambda c: c not in _CEILINGS):
            if not tree:
                v1.make_ancestors(directories[controller].removesuffix(path), path)
            if controller in _CEILINGS:
                file = f"{directories[controller]}/{_CEILINGS[controller][bool(tree)]}"
                if not tree or os.path.exists(file):  # else it could not be handed down: one of the warnings says why
                    write(file, str(_ceiling(controller)))
    warnings += [
        f"cgroup: no {c} controller here, so there is no ceiling above the containers"
        for c in _CEILINGS
        if c not in directories
    ]
    return warnings


def ensure(path: str) -> Manager:
    """The cgroup `path` (``/minidock/shims``), made where it is missing and left as it is where it is in use.

    For the engine's own helpers, which share one cgroup over many lives; `ensure_parent` came before. A container's
    cgroup is `Manager.create`'s, and fresh each time.
    """
    found = manager(path)
    with fault("create cgroup"):
        for controller, directory in found.paths().items():
            with contextlib.suppress(FileExistsError):
                mkdir(directory)
                if controller == "cpuset" and os.path.exists(f"{directory}/cgroup.clone_children"):
                    v1.fill_cpuset(directory)
    return found


def hand_down(path: str) -> None:
    """On v2, let every controller reach what will be made in `path`; v1 has nothing of the kind. Raises OSError."""
    if tree := unified(hierarchies()):
        v2.make_ancestors(tree, path)


def try_out(path: str, wanted: Resources) -> None:
    """Let the kernel judge limits: write them into the cgroup `path`, made for this and removed at once, in the hierarchies
    concerned alone (0.1 ms each). Its parent is made if it is not there.

    Most values every kernel takes for an empty cgroup, but some depend on its arithmetic, on what the parent was given, on a
    disk's scheduler. Raises SystemFault naming the file that took no such value.
    """
    from minidock.libcontainer.config import Cgroup

    trees = hierarchies()
    files = resources.settings(wanted, trees)
    controllers = {name.partition(".")[0] for name, _ in files}
    concerned = [tree for tree in trees if controllers.intersection(tree.controllers)]
    if not concerned:
        return
    group = manager(path, concerned)
    if not all(os.path.isdir(os.path.dirname(directory)) for directory in group.paths().values()):
        ensure_parent(os.path.dirname(path))
    with contextlib.ExitStack() as undo:
        undo.callback(group.remove)  # also completes a removal that failed halfway
        group.create(Cgroup(path, (), files))
        group.remove()


# Controller → the file of the ceiling on v1 and on v2.
_CEILINGS = {"pids": ("pids.max", "pids.max"), "memory": ("memory.limit_in_bytes", "memory.max")}


def _has_ceiling(path: str) -> bool:
    try:
        return read(path).strip() != "max"
    except FileNotFoundError:
        return False


def _ceiling(controller: str) -> int:
    if controller == "memory":
        return memory_ceiling(read("/proc/meminfo"))
    return min(int(read(f"/proc/sys/kernel/{n}")) for n in ("pid_max", "threads-max")) * 3 // 4


def memory_ceiling(meminfo: str) -> int:
    """Bytes that all containers of an instance may use together, from the text of /proc/meminfo.

    The total less the larger of 1 GiB and 15 %, but never less than half of the total.
    """
    total = next(int(line.split()[1]) for line in meminfo.splitlines() if line.startswith("MemTotal:")) * 1024
    return max(total - max(1 << 30, total * 15 // 100), total // 2)


def settings(wanted: Resources | Mapping[str, Any], trees: Sequence[Hierarchy] = ()) -> tuple[tuple[str, str], ...]:
    """`resources.settings` of these resources, or of docker's HostConfig: what ``config.Cgroup.settings`` wants."""
    found = wanted if isinstance(wanted, Resources) else from_host_config(wanted)
    return resources.settings(found, trees)

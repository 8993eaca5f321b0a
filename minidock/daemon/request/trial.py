"""Limits that only the kernel can judge, tried before the container is made: one that it refuses leaves nothing behind.

``limits.py`` knows what no machine takes, and most of what is left every kernel takes for a cgroup that is empty. A few values
depend on more: on the largest process number, on the scheduler's arithmetic, on what the instance's own cgroup was given,
on whether a disk's scheduler knows weights. These are written once into a cgroup of the name that the container's will have,
without any process, in the hierarchies concerned alone (0.2 ms each); it is removed at once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from minidock.daemon.request import limits
from minidock.libcontainer.cgroups.hierarchy import Hierarchy, hierarchies, read, unified
from minidock.libcontainer.config import Cgroup

if TYPE_CHECKING:
    from minidock.daemon.request.wire import HostConfig

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

PIDS_MAX = 4_194_304  # PID_MAX_LIMIT of a 64-bit kernel (include/linux/threads.h)
_CONCERNED = ("PidsLimit", "CpuQuota", "NanoCpus", "CpusetCpus", "CpusetMems", "BlkioWeightDevice")
PERIOD = 100_000  # µs; the kernel's default


def trial(engine: Engine, id: str, host_config: HostConfig) -> None:
    """Let the kernel judge the limits of container `id`, which is being made: whoever finds ``tmp/<id>`` without its
    config.json removes this cgroup too (`removal.sweep`). Raises SystemFault naming the file that took no such value.
    """
    if not any(host_config.get(key) for key in _CONCERNED):
        return
    trees = hierarchies()
    options = uncertain(engine, host_config, trees)
    if not options:
        return
    from minidock.libcontainer import cgroups

    settings = cgroups.settings({key: value for key, value in host_config.items() if key in options and value}, trees)
    controllers = {name.partition(".")[0] for name, _ in settings}
    concerned = [tree for tree in trees if controllers & set(tree.controllers)]
    if not concerned:
        return
    group = cgroups.manager(engine.paths.cgroup(id), concerned)
    if not all(os.path.isdir(os.path.dirname(directory)) for directory in group.paths().values()):
        cgroups.ensure_parent(f"/{engine.paths.instance}")
    with ExitStack() as undo:
        undo.callback(group.remove)  # also completes a removal that failed halfway
        group.create(Cgroup(group.path, (), settings))
        group.remove()


def uncertain(engine: Engine, host_config: HostConfig, trees: Sequence[Hierarchy]) -> list[str]:
    """The options in `host_config` that a kernel may refuse although nothing is wrong with them by themselves.

    `trees` are the machine's cgroup hierarchies.
    """
    found = []
    if (host_config.get("PidsLimit") or 0) > PIDS_MAX:
        found.append("PidsLimit")
    quota = host_config.get("CpuQuota") or 0
    most = (os.cpu_count() or 1) * (host_config.get("CpuPeriod") or PERIOD)
    if quota > most or ((quota > 0 or host_config.get("NanoCpus")) and _narrowed(engine, trees, "cpu.cfs_quota_us", "-1")):
        found += ["CpuPeriod", "CpuQuota", "NanoCpus"]
    for key, kind in (("CpusetCpus", "cpus"), ("CpusetMems", "mems")):
        if host_config.get(key) and _narrowed(engine, trees, f"cpuset.{kind}", limits.available_cpuset(trees, kind)):
            found += [key]
    if host_config.get("BlkioWeightDevice"):
        found.append("BlkioWeightDevice")
    return found


def _narrowed(engine: Engine, trees: Sequence[Hierarchy], file: str, usual: str) -> bool:
    """Whether somebody gave the instance's cgroup less than there is: v1 refuses what is more than that, v2 takes it."""
    controller = file.partition(".")[0]
    tree = None if unified(trees) else next((tree for tree in trees if controller in tree.controllers), None)
    if tree is None:
        return False
    try:
        return read(f"{tree.mountpoint}/{engine.paths.instance}/{file}").strip() != usual
    except FileNotFoundError:  # the instance has not been used yet
        return False

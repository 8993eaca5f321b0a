"""Limits that only the kernel can judge, tried before the container is made: one that it refuses leaves nothing behind.

``limits.py`` knows what no machine takes. What a machine takes may depend on more: on the largest process number, on a quota
or a cpuset above, on whether a disk's scheduler knows weights. So these options are written once into a cgroup of the name
that the container's will have, without any process, in the hierarchies concerned alone (0.3 ms); it is removed at once.
Memory is not among them: the kernel takes every size for a cgroup that is empty.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from minidock.libcontainer.config import Cgroup

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

_UNCERTAIN = (
    "CpuPeriod",
    "CpuQuota",
    "NanoCpus",
    "CpusetCpus",
    "CpusetMems",
    "PidsLimit",
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
)


def trial(engine: Engine, id: str, host_config: dict[str, Any]) -> None:
    """Let the kernel judge the limits of container `id`, which is being made: whoever finds ``tmp/<id>`` without its
    config.json removes this cgroup too (`removal.sweep`). Raises SystemFault naming the file that took no such value.
    """
    uncertain = {key: host_config[key] for key in _UNCERTAIN if host_config.get(key)}
    if not uncertain:
        return
    from minidock.libcontainer import cgroups

    trees = cgroups.hierarchies()
    settings = cgroups.settings(uncertain, trees)
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

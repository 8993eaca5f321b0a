"""What a container may use, as numbers: docker's resource options after normalisation, before any kernel's file is named.

::

    HostConfig {"NanoCpus": 1500000000, "Memory": 67108864, …}          docker's words, from the API
        │ from_host_config
    Resources(cpu_period=100000, cpu_quota=150000, memory=67108864)     this module: one meaning per field
        │ settings
    ("cpu.cfs_quota_us", "150000") …      v1                            files in the order in which they are written
    ("cpu.max", "150000 100000") …        v2

What a machine cannot do is left out of the settings (docker warns and starts the container all the same): `present` says
beforehand which fields it can hold.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from minidock.errors import InvalidParameter
from minidock.libcontainer.cgroups import v1, v2
from minidock.libcontainer.cgroups.hierarchy import Hierarchy, hierarchies, offers, unified

# Docker's --cpus is a quota in this period, in µs (moby 20.10 daemon/daemon_unix.go, getCPUResources).
NANO_CPUS_PERIOD = 100_000

# Sizes that x86-64 and arm64 have with pages of 4 KiB, as hugetlb's files are named.
_HUGE_PAGES = ("2MB", "1GB")

DeviceValue = tuple[int, int, int]  # major, minor, weight or rate


class Resources(NamedTuple):
    """Limits of one cgroup. None: leave what the kernel has; -1: no limit. Bytes, µs, and per second where not said.

    `memory_swap` is memory plus swap, as docker and v1 count it. `cpuset_cpus` and `cpuset_mems` are lists like ``0-2,5``.
    `hugetlb` are (page size as the kernel names it, bytes), for example ``("2MB", 1 << 30)``; docker has no option for it.
    """

    cpu_shares: int | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    memory: int | None = None
    memory_swap: int | None = None
    memory_reservation: int | None = None
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    blkio_weight: int | None = None
    blkio_weight_device: tuple[DeviceValue, ...] = ()
    throttle_read_bps: tuple[DeviceValue, ...] = ()
    throttle_write_bps: tuple[DeviceValue, ...] = ()
    throttle_read_iops: tuple[DeviceValue, ...] = ()
    throttle_write_iops: tuple[DeviceValue, ...] = ()
    hugetlb: tuple[tuple[str, int], ...] = ()


FIELDS = Resources._fields

# Resources' field → HostConfig's, where a number or a list of CPUs is taken over as it is and 0 means "not asked for".
_PLAIN = {
    "cpu_shares": "CpuShares",
    "cpu_period": "CpuPeriod",
    "cpu_quota": "CpuQuota",
    "cpuset_cpus": "CpusetCpus",
    "cpuset_mems": "CpusetMems",
    "memory": "Memory",
    "memory_swap": "MemorySwap",
    "memory_reservation": "MemoryReservation",
    "blkio_weight": "BlkioWeight",
}
_DEVICES = {
    "blkio_weight_device": ("BlkioWeightDevice", "Weight"),
    "throttle_read_bps": ("BlkioDeviceReadBps", "Rate"),
    "throttle_write_bps": ("BlkioDeviceWriteBps", "Rate"),
    "throttle_read_iops": ("BlkioDeviceReadIOps", "Rate"),
    "throttle_write_iops": ("BlkioDeviceWriteIOps", "Rate"),
}


def from_host_config(host_config: Mapping[str, Any]) -> Resources:
    """The numbers in docker's HostConfig (or in the part of it that `update` sends); missing fields are None.

    ``NanoCpus`` becomes a quota in a period of 100 ms. ``PidsLimit`` 0 or -1 is no limit, and ``MemorySwappiness`` -1 is not
    asked for (Engine API 1.41). Devices are named by path and looked up here: InvalidParameter when there is none. The rest
    of the validation, and memory+swap = 2 x memory by default, are the daemon's.
    """
    found: dict[str, Any] = {name: host_config.get(option) or None for name, option in _PLAIN.items()}
    if nano_cpus := host_config.get("NanoCpus"):
        found["cpu_period"] = NANO_CPUS_PERIOD
        found["cpu_quota"] = nano_cpus * NANO_CPUS_PERIOD // 1_000_000_000
    pids_limit = host_config.get("PidsLimit")
    if pids_limit is not None:
        found["pids_limit"] = pids_limit if pids_limit > 0 else -1
    swappiness = host_config.get("MemorySwappiness")
    if swappiness is not None and swappiness >= 0:
        found["memory_swappiness"] = swappiness
    if host_config.get("OomKillDisable"):
        found["oom_kill_disable"] = True
    for name, (option, value) in _DEVICES.items():
        found[name] = tuple((*device_numbers(d["Path"]), int(d[value])) for d in host_config.get(option) or ())
    return Resources(**found)


def device_numbers(path: str) -> tuple[int, int]:
    """(major, minor) of the block device at `path`. Raises InvalidParameter when it is none."""
    try:
        found = os.stat(path)
    except OSError as e:
        raise InvalidParameter(f"{path}: {os.strerror(e.errno or 0).lower()}") from None
    if not stat.S_ISBLK(found.st_mode):
        raise InvalidParameter(f"{path}: not a block device")
    return os.major(found.st_rdev), os.minor(found.st_rdev)


def settings(resources: Resources, trees: Sequence[Hierarchy] = ()) -> tuple[tuple[str, str], ...]:
    """The (file, value) pairs for a fresh cgroup on this machine, in the order in which they are written.

    For ``config.Cgroup.settings``. What `trees` (by default: what is mounted) cannot hold is left out.
    """
    trees = trees or hierarchies()
    make = v2.settings if unified(trees) else v1.settings
    return make(resources, lambda file: offers(trees, file))


def present(trees: Sequence[Hierarchy] = ()) -> frozenset[str]:
    """The fields of `Resources` that this machine can hold. The others get docker's warning and no setting.

    Missing are, for example: cpuset_cpus where no cpuset hierarchy is mounted, memory_swap on a kernel started with
    swapaccount=0, blkio_weight without bfq, cpu_quota without CONFIG_CFS_BANDWIDTH; memory_swappiness and oom_kill_disable
    on v2, which has no such files.
    """
    trees = trees or hierarchies()
    files = v2.FILES if unified(trees) else v1.FILES
    found = {field for field, names in files.items() if any(offers(trees, name) for name in names)}
    if any(offers(trees, file.format(size)) for file in v1.HUGETLB for size in _HUGE_PAGES):
        found.add("hugetlb")
    return frozenset(found)


def kernel_memory(trees: Sequence[Hierarchy] = ()) -> tuple[bool, bool]:
    """Whether there are files for a limit of the kernel's own memory, and of its TCP buffers.

    Since Linux 5.16 the first takes a value and keeps none (commit 58056f77502f); v2 never had either.
    """
    trees = trees or hierarchies()
    return offers(trees, "memory.kmem.limit_in_bytes"), offers(trees, "memory.kmem.tcp.limit_in_bytes")


def dropped(resources: Resources, trees: Sequence[Hierarchy] = ()) -> tuple[str, ...]:
    """The fields that are asked for and that `settings` leaves out on this machine, in the order of `Resources`."""
    return tuple(_asked(resources, set(FIELDS) - present(trees)))


def _asked(resources: Resources, among: Iterable[str]) -> Iterable[str]:
    wanted = set(among)
    return (name for name in FIELDS if name in wanted and getattr(resources, name) not in (None, ()))

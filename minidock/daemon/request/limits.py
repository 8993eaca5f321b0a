"""The resource options of ``run``, ``create`` and ``update``: what may be asked for, and what this machine can do of it.

The words are docker 20.10's (moby ``daemon/daemon_unix.go``, verifyPlatformContainerResources; ``pkg/sysinfo``; for shares
runc's ``cgroups/fs/cpu.go``). Two answers are possible, as there:

* a value that no machine could take is refused (InvalidParameter), before anything is made;
* a limit that *this* machine cannot set (its controller is not mounted, its kernel is without swap accounting) is
  discarded with a warning: the container runs all the same, and ``inspect`` shows what holds.

Docker leaves some mistakes to the kernel and fails at the start; here they are found beforehand too, in the words that docker
or runc has for them, or in ours where they have none.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from typing import Any

from minidock.daemon.request import unmarshal
from minidock.errors import InvalidParameter
from minidock.execdriver.cgroups import Hierarchy, available_cpuset, hierarchies, present

MIN_MEMORY = 6 << 20  # bytes; linuxMinMemory
MIN_SHARES, MAX_SHARES = 2, 262144  # what the kernel keeps of a written value (kernel/sched/sched.h: MIN_SHARES, MAX_SHARES)
MIN_PERIOD, MAX_PERIOD, MIN_QUOTA = 1000, 1_000_000, 1000  # µs
MIN_NANO_CPUS = 10_000_000  # a hundredth of a CPU: 1 ms in the period of 100 ms that --cpus is written as
MIN_WEIGHT, MAX_WEIGHT = 10, 1000
HIGHEST_NUMBER = 8192  # of a CPU or a memory node that is known to be none, rather than to be no number (pkg/sysinfo)

# HostConfig's field → (the field of Resources that tells whether this machine can do it, the number inside, docker's warning).
DEVICES = {
    "BlkioWeightDevice": (
        "blkio_weight_device",
        "Weight",
        "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
    ),
    "BlkioDeviceReadBps": (
        "throttle_read_bps",
        "Rate",
        "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. "
        "Block I/O BPS read limit discarded.",
    ),
    "BlkioDeviceWriteBps": (
        "throttle_write_bps",
        "Rate",
        "Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. "
        "Block I/O BPS write limit discarded.",
    ),
    "BlkioDeviceReadIOps": (
        "throttle_read_iops",
        "Rate",
        "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.",
    ),
    "BlkioDeviceWriteIOps": (
        "throttle_write_iops",
        "Rate",
        "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. "
        "Block I/O IOPS write limit discarded.",
    ),
}
# Every field of HostConfig that is a resource (moby api/types/container, Resources), but the devices themselves.
FIELDS = frozenset((*unmarshal.INT64, "OomKillDisable", "BlkioWeight", *unmarshal.STRING, *DEVICES)) - {
    "OomScoreAdj",
    "CgroupParent",
}


def check(host_config: dict[str, Any], trees: Sequence[Hierarchy] = (), *, update: bool = False) -> list[str]:
    """Check the resource options in `host_config` on a machine with the cgroup trees `trees` (default: what is mounted);
    returns docker's warnings.

    What this machine cannot do is taken out of `host_config`. With `update` they are the changes to a container: a swap
    limit may then come without a memory limit, which the container has already. Raises InvalidParameter.
    """
    unmarshal.check(host_config, update=update)
    score = host_config.get("OomScoreAdj") or 0
    if not -1000 <= score <= 1000:
        raise InvalidParameter(f"Invalid value {score}, range for oom score adj is [-1000, 1000]")
    if not any(host_config.get(key) for key in FIELDS) and host_config.get("MemorySwappiness") is None:
        return []
    trees = trees or hierarchies()
    able = present(trees)
    warnings: list[str] = []
    _memory(host_config, able, warnings, update)
    _other_memory(host_config, able, warnings)
    _pids(host_config, able, warnings)
    _cpus(host_config, able, warnings)
    _shares(host_config, able, warnings)
    _cpuset(host_config, able, warnings, trees)
    _blkio(host_config, able, warnings)
    return warnings


def _memory(host: dict[str, Any], able: frozenset[str], warnings: list[str], update: bool) -> None:
    """Memory, and memory with swap."""
    memory = host.get("Memory") or 0
    if memory and memory < MIN_MEMORY:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if memory and "memory" not in able:
        warnings.append(
            "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
        )
        memory = host["Memory"] = 0
        host["MemorySwap"] = -1
    if memory and host.get("MemorySwap", 0) != -1 and "memory_swap" not in able:
        warnings.append(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
        )
        host["MemorySwap"] = -1
    swap = host.get("MemorySwap") or 0
    if swap < -1 or (memory and 0 < swap < memory):
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not memory and swap > 0 and not update:
        raise InvalidParameter("You should always set the Memory limit when using Memoryswap limit, see usage")


def _other_memory(host: dict[str, Any], able: frozenset[str], warnings: list[str]) -> None:
    """Swappiness, the soft limit, the kernel's memory, and no OOM killer."""
    if host.get("MemorySwappiness") == -1:
        host["MemorySwappiness"] = None
    swappiness = host.get("MemorySwappiness")
    if swappiness is not None and not 0 <= swappiness <= 100:
        raise InvalidParameter(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if swappiness is not None and "memory_swappiness" not in able:
        warnings.append(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
            "Memory swappiness discarded."
        )
        host["MemorySwappiness"] = None
    _reservation(host, able, warnings)
    if kernel := host.get("KernelMemory"):
        if kernel < MIN_MEMORY:
            raise InvalidParameter("Minimum kernel memory limit allowed is 6MB")
        # Since Linux 5.16 the file takes a value and keeps none (commit 58056f77502f); cgroup v2 never had one.
        warnings.append("Specifying a kernel memory limit is deprecated and will be removed in a future release.")
        warnings.append(
            "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded."
        )
        host["KernelMemory"] = 0
    if host.get("OomKillDisable") and "oom_kill_disable" not in able:
        warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
        host["OomKillDisable"] = None
    if host.get("OomKillDisable") and not host.get("Memory"):
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )


def _reservation(host: dict[str, Any], able: frozenset[str], warnings: list[str]) -> None:
    reservation, memory = host.get("MemoryReservation") or 0, host.get("Memory") or 0
    if reservation and reservation < MIN_MEMORY:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if memory and memory < reservation:
        raise InvalidParameter("Minimum memory limit can not be less than memory reservation limit, see usage")
    if reservation and "memory_reservation" not in able:
        warnings.append(
            "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded."
        )
        host["MemoryReservation"] = 0


def _pids(host: dict[str, Any], able: frozenset[str], warnings: list[str]) -> None:
    if host.get("PidsLimit") is not None and "pids_limit" not in able:
        if host["PidsLimit"] > 0:
            warnings.append(
                "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."
            )
        host["PidsLimit"] = None


def _cpus(host: dict[str, Any], able: frozenset[str], warnings: list[str]) -> None:
    """How much of the CPUs' time at most: as a number of CPUs, or as a quota in a period."""
    nano, period, quota = (host.get(key) or 0 for key in ("NanoCpus", "CpuPeriod", "CpuQuota"))
    if nano > 0 and period > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if nano > 0 and quota > 0:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if nano > 0 and "cpu_quota" not in able:
        raise InvalidParameter(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        )
    count = len(os.sched_getaffinity(0))
    if nano and not MIN_NANO_CPUS <= nano <= count * 10**9:
        raise InvalidParameter(f"Range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available")
    if period and not MIN_PERIOD <= period <= MAX_PERIOD:
        raise InvalidParameter("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < MIN_QUOTA:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if (period or quota) and "cpu_quota" not in able:
        warnings.append("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.")
        host["CpuPeriod"] = host["CpuQuota"] = 0
    if (host.get("CpuPercent") or 0) > 0:  # of Windows
        warnings.append("linux does not support CPU percent. Percent discarded.")
        host["CpuPercent"] = 0


def _shares(host: dict[str, Any], able: frozenset[str], warnings: list[str]) -> None:
    """How the CPUs are divided among those who want more than there is."""
    shares = host.get("CpuShares") or 0
    if shares < 0:
        raise InvalidParameter("shares: invalid argument")
    if shares and shares < MIN_SHARES:
        raise InvalidParameter(f"the minimum allowed cpu-shares is {MIN_SHARES}")
    if shares > MAX_SHARES:
        raise InvalidParameter(f"the maximum allowed cpu-shares is {MAX_SHARES}")
    if shares and "cpu_shares" not in able:
        warnings.append("Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.")
        host["CpuShares"] = 0


def _cpuset(host: dict[str, Any], able: frozenset[str], warnings: list[str], trees: Sequence[Hierarchy]) -> None:
    """Which CPUs and which memory nodes."""
    asked = [key for key in ("CpusetCpus", "CpusetMems") if host.get(key)]
    if asked and "cpuset_cpus" not in able:
        warnings.append("Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.")
        host["CpusetCpus"] = host["CpusetMems"] = ""
        return
    for key in asked:
        kind, words = ("cpus", "CPUs") if key == "CpusetCpus" else ("mems", "memory nodes")
        value, available = host[key], available_cpuset(trees, kind)
        try:
            there = numbers(value) <= numbers(available)
        except ValueError as error:
            raise InvalidParameter(f"Invalid value {value} for cpuset {kind}: {error}") from None
        if not there:
            raise InvalidParameter(f"Requested {words} are not available - requested {value}, available: {available}")


def numbers(text: str) -> set[int]:
    """The numbers in a list like ``0-2,5`` (cpuset(7), Formats; docker's subset of it). Raises ValueError in docker's words."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise ValueError(f"invalid format: {text}")
        if last > HIGHEST_NUMBER:
            raise ValueError(f"value of out range, maximum is {HIGHEST_NUMBER}")
        found.update(range(first, last + 1))
    return found


def _blkio(host: dict[str, Any], able: frozenset[str], warnings: list[str]) -> None:
    """Weights, and rates for single disks."""
    weight = host.get("BlkioWeight") or 0
    if weight and not MIN_WEIGHT <= weight <= MAX_WEIGHT:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    if weight and "blkio_weight" not in able:
        warnings.append("Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.")
        host["BlkioWeight"] = 0
    for key, (field, number, words) in DEVICES.items():
        entries = [{number: 0, **entry} for entry in host.get(key) or ()]  # the caller's own stay as they are
        if number == "Weight":
            entries = [entry for entry in entries if entry["Weight"]]  # 0 is the disk's usual weight
        for entry in entries:
            if number == "Weight" and not MIN_WEIGHT <= entry["Weight"] <= MAX_WEIGHT:
                raise InvalidParameter(f"invalid weight for device: {entry.get('Path')}:{entry['Weight']}")
            disk(entry.get("Path") or "")
        if entries and field not in able:
            warnings.append(words)
            entries = []
        if host.get(key):
            host[key] = entries


def disk(path: str) -> None:
    """Whether `path` is a device that block I/O can be limited on: a whole disk, as the kernel wants it. InvalidParameter."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise InvalidParameter(f"stat {path}: {os.strerror(error.errno or 0).lower()}") from None
    if not stat.S_ISBLK(status.st_mode):
        raise InvalidParameter(f"{path} is not a block device")
    if os.path.exists(f"/sys/dev/block/{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}/partition"):
        raise InvalidParameter(f"{path} is a partition, and block I/O is limited by whole disks")

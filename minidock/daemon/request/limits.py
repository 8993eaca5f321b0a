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
from typing import TYPE_CHECKING, Literal, NamedTuple

from minidock.daemon.request import unmarshal
from minidock.errors import InvalidParameter
from minidock.execdriver.cgroups import Hierarchy, available_cpuset, hierarchies, present

if TYPE_CHECKING:
    from minidock.daemon.request.wire import HostConfig, ThrottleDevice

MIN_MEMORY = 6 << 20  # bytes; linuxMinMemory
MIN_SHARES, MAX_SHARES = 2, 262144  # what the kernel keeps of a written value (kernel/sched/sched.h: MIN_SHARES, MAX_SHARES)
MIN_PERIOD, MAX_PERIOD, MIN_QUOTA = 1000, 1_000_000, 1000  # µs
MIN_NANO_CPUS = 10_000_000  # a hundredth of a CPU: 1 ms in the period of 100 ms that --cpus is written as
MIN_WEIGHT, MAX_WEIGHT = 10, 1000
HIGHEST_NUMBER = 8192  # of a CPU or a memory node that is known to be none, rather than to be no number (pkg/sysinfo)

# HostConfig's field → (the field of Resources that tells whether this machine can do it, docker's warning).
DEVICES = {
    "BlkioWeightDevice": (
        "blkio_weight_device",
        "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
    ),
    "BlkioDeviceReadBps": (
        "throttle_read_bps",
        "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. "
        "Block I/O BPS read limit discarded.",
    ),
    "BlkioDeviceWriteBps": (
        "throttle_write_bps",
        "Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. "
        "Block I/O BPS write limit discarded.",
    ),
    "BlkioDeviceReadIOps": (
        "throttle_read_iops",
        "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.",
    ),
    "BlkioDeviceWriteIOps": (
        "throttle_write_iops",
        "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. "
        "Block I/O IOPS write limit discarded.",
    ),
}
Rate = Literal["BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"]
RATES: tuple[Rate, ...] = ("BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps")
# Every field of HostConfig that is a resource (moby api/types/container, Resources), but the devices themselves.
FIELDS = frozenset((*unmarshal.INT64, "OomKillDisable", "BlkioWeight", *unmarshal.STRING, *DEVICES)) - {
    "OomScoreAdj",
    "CgroupParent",
}


class Judged(NamedTuple):
    """What of the asked limits this machine does: `host_config` without the rest, and docker's `warnings` about the rest."""

    host_config: HostConfig
    warnings: tuple[str, ...] = ()

    def without(self, words: str, changes: HostConfig) -> Judged:
        """One more thing discarded: `changes` is what is there in its place, `words` docker's warning."""
        return Judged({**self.host_config, **changes}, (*self.warnings, words))

    def warned(self, *words: str) -> Judged:
        """One more thing said."""
        return Judged(self.host_config, (*self.warnings, *words))


def check(host_config: HostConfig, trees: Sequence[Hierarchy] = (), *, update: bool = False) -> Judged:
    """Check the resource options in `host_config` on a machine with the cgroup trees `trees` (default: what is mounted).

    What this machine cannot do is left out of the answer's host configuration; `host_config` stays as it is. With `update`
    it has the changes to a container: a swap limit may then come without a memory limit, which the container has already.
    Raises InvalidParameter.
    """
    unmarshal.check(host_config, update=update)
    score = host_config.get("OomScoreAdj") or 0
    if not -1000 <= score <= 1000:
        raise InvalidParameter(f"Invalid value {score}, range for oom score adj is [-1000, 1000]")
    judged = Judged(host_config)
    if not any(host_config.get(key) for key in FIELDS) and host_config.get("MemorySwappiness") is None:
        return judged
    trees = trees or hierarchies()
    able = present(trees)
    judged = _memory(judged, able, update)
    judged = _swappiness(judged, able)
    judged = _reservation(judged, able)
    judged = _kernel_memory(judged)
    judged = _oom_kill(judged, able)
    judged = _pids(judged, able)
    judged = _cpus(judged, able)
    judged = _shares(judged, able)
    judged = _cpuset(judged, able, trees)
    return _blkio(judged, able)


def _memory(judged: Judged, able: frozenset[str], update: bool) -> Judged:
    """Memory, and memory with swap."""
    memory = judged.host_config.get("Memory") or 0
    if memory and memory < MIN_MEMORY:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if memory and "memory" not in able:
        words = "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded."
        judged, memory = judged.without(words, {"Memory": 0, "MemorySwap": -1}), 0
    if memory and judged.host_config.get("MemorySwap", 0) != -1 and "memory_swap" not in able:
        judged = judged.without(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
            {"MemorySwap": -1},
        )
    swap = judged.host_config.get("MemorySwap") or 0
    if swap < -1 or (memory and 0 < swap < memory):
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not memory and swap > 0 and not update:
        raise InvalidParameter("You should always set the Memory limit when using Memoryswap limit, see usage")
    return judged


def _swappiness(judged: Judged, able: frozenset[str]) -> Judged:
    swappiness = judged.host_config.get("MemorySwappiness")
    if swappiness == -1:  # not asked for
        return Judged({**judged.host_config, "MemorySwappiness": None}, judged.warnings)
    if swappiness is not None and not 0 <= swappiness <= 100:
        raise InvalidParameter(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if swappiness is None or "memory_swappiness" in able:
        return judged
    return judged.without(
        "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
        "Memory swappiness discarded.",
        {"MemorySwappiness": None},
    )


def _reservation(judged: Judged, able: frozenset[str]) -> Judged:
    """The soft limit."""
    reservation, memory = judged.host_config.get("MemoryReservation") or 0, judged.host_config.get("Memory") or 0
    if reservation and reservation < MIN_MEMORY:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if memory and memory < reservation:
        raise InvalidParameter("Minimum memory limit can not be less than memory reservation limit, see usage")
    if not reservation or "memory_reservation" in able:
        return judged
    return judged.without(
        "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
        {"MemoryReservation": 0},
    )


def _kernel_memory(judged: Judged) -> Judged:
    """Since Linux 5.16 the file takes a value and keeps none (commit 58056f77502f); cgroup v2 never had one."""
    kernel = judged.host_config.get("KernelMemory")
    if not kernel:
        return judged
    if kernel < MIN_MEMORY:
        raise InvalidParameter("Minimum kernel memory limit allowed is 6MB")
    return judged.warned("Specifying a kernel memory limit is deprecated and will be removed in a future release.").without(
        "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
        {"KernelMemory": 0},
    )


def _oom_kill(judged: Judged, able: frozenset[str]) -> Judged:
    """No OOM killer."""
    if judged.host_config.get("OomKillDisable") and "oom_kill_disable" not in able:
        words = "Your kernel does not support OomKillDisable. OomKillDisable discarded."
        judged = judged.without(words, {"OomKillDisable": None})
    if judged.host_config.get("OomKillDisable") and not judged.host_config.get("Memory"):
        judged = judged.warned(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    return judged


def _pids(judged: Judged, able: frozenset[str]) -> Judged:
    most = judged.host_config.get("PidsLimit")
    if most is None or "pids_limit" in able:
        return judged
    if most > 0:
        judged = judged.warned(
            "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."
        )
    return Judged({**judged.host_config, "PidsLimit": None}, judged.warnings)


def _cpus(judged: Judged, able: frozenset[str]) -> Judged:
    """How much of the CPUs' time at most: as a number of CPUs, or as a quota in a period."""
    host = judged.host_config
    nano, period, quota = host.get("NanoCpus") or 0, host.get("CpuPeriod") or 0, host.get("CpuQuota") or 0
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
        words = "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded."
        judged = judged.without(words, {"CpuPeriod": 0, "CpuQuota": 0})
    if (host.get("CpuPercent") or 0) > 0:  # of Windows
        judged = judged.without("linux does not support CPU percent. Percent discarded.", {"CpuPercent": 0})
    return judged


def _shares(judged: Judged, able: frozenset[str]) -> Judged:
    """How the CPUs are divided among those who want more than there is."""
    shares = judged.host_config.get("CpuShares") or 0
    if shares < 0:
        raise InvalidParameter("shares: invalid argument")
    if shares and shares < MIN_SHARES:
        raise InvalidParameter(f"the minimum allowed cpu-shares is {MIN_SHARES}")
    if shares > MAX_SHARES:
        raise InvalidParameter(f"the maximum allowed cpu-shares is {MAX_SHARES}")
    if not shares or "cpu_shares" in able:
        return judged
    words = "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded."
    return judged.without(words, {"CpuShares": 0})


def _cpuset(judged: Judged, able: frozenset[str], trees: Sequence[Hierarchy]) -> Judged:
    """Which CPUs and which memory nodes."""
    asked = (
        ("cpus", "CPUs", judged.host_config.get("CpusetCpus")),
        ("mems", "memory nodes", judged.host_config.get("CpusetMems")),
    )
    if any(value for _, _, value in asked) and "cpuset_cpus" not in able:
        words = "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded."
        return judged.without(words, {"CpusetCpus": "", "CpusetMems": ""})
    for kind, what, value in asked:
        if not value:
            continue
        available = available_cpuset(trees, kind)
        try:
            there = numbers(value) <= numbers(available)
        except ValueError as error:
            raise InvalidParameter(f"Invalid value {value} for cpuset {kind}: {error}") from None
        if not there:
            raise InvalidParameter(f"Requested {what} are not available - requested {value}, available: {available}")
    return judged


def numbers(text: str) -> set[int]:
    """The numbers in `text`, a list like ``0-2,5`` (cpuset(7), Formats; docker's subset of it).

    Raises ValueError in docker's words.
    """
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


def _blkio(judged: Judged, able: frozenset[str]) -> Judged:
    """Weights, and rates for single disks."""
    weight = judged.host_config.get("BlkioWeight") or 0
    if weight and not MIN_WEIGHT <= weight <= MAX_WEIGHT:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    if weight and "blkio_weight" not in able:
        words = "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded."
        judged = judged.without(words, {"BlkioWeight": 0})
    judged = _weights(judged, able)
    for key in RATES:
        judged = _rates(judged, able, key)
    return judged


def _weights(judged: Judged, able: frozenset[str]) -> Judged:
    """A 0 is the disk's usual weight: no wish."""
    asked = judged.host_config.get("BlkioWeightDevice")
    if not asked:
        return judged
    entries = [entry for entry in asked if entry.get("Weight")]
    for entry in entries:
        if not MIN_WEIGHT <= entry["Weight"] <= MAX_WEIGHT:
            raise InvalidParameter(f"invalid weight for device: {entry.get('Path')}:{entry['Weight']}")
        disk(entry.get("Path") or "")
    field, words = DEVICES["BlkioWeightDevice"]
    if entries and field not in able:
        return judged.without(words, {"BlkioWeightDevice": []})
    return Judged({**judged.host_config, "BlkioWeightDevice": entries}, judged.warnings)


def _rates(judged: Judged, able: frozenset[str], key: Rate) -> Judged:
    asked = judged.host_config.get(key)
    if not asked:
        return judged
    for entry in asked:
        disk(entry.get("Path") or "")
    field, words = DEVICES[key]
    able_to = field in able
    entries: list[ThrottleDevice] = [{"Rate": 0, **entry} for entry in asked] if able_to else []
    host = judged.host_config.copy()
    host[key] = entries
    return Judged(host, judged.warnings if able_to else (*judged.warnings, words))


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

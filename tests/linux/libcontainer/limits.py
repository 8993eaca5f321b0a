"""Each limit with what the kernel must show when it holds, on v1 and on v2; and how a test looks."""

from __future__ import annotations

import os
from pathlib import Path

from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import v1, v2
from minidock.libcontainer.cgroups.hierarchy import Hierarchy, hierarchies, offers
from minidock.libcontainer.cgroups.resources import Resources

MIB = 1 << 20
CPUS = os.sysconf("SC_NPROCESSORS_ONLN")
LAST_CPU = str(CPUS - 1)


def disk() -> tuple[int, int]:
    """A whole disk of this machine to name in a limit of ours: nothing else feels it."""
    found = sorted(Path("/sys/block").glob("*/dev"), key=lambda p: (p.parent.name.startswith(("loop", "ram", "zram")), p))
    major, minor = found[0].read_text().strip().split(":")
    return int(major), int(minor)


DISK = disk()
AT = f"{DISK[0]}:{DISK[1]}"

# What is asked for → the lines that the kernel must then show, on v1 and on v2. Two values each: set, then changed in use.
Expected = dict[str, str]
Case = tuple[Resources, Expected, Expected]
CASES: dict[str, tuple[Case, Case]] = {
    "cpu_shares": (
        (Resources(cpu_shares=512), {"cpu.shares": "512"}, {"cpu.weight": "59"}),
        (Resources(cpu_shares=2048), {"cpu.shares": "2048"}, {"cpu.weight": "174"}),
    ),
    "cpu_quota": (
        (
            Resources(cpu_quota=25_000, cpu_period=50_000),
            {"cpu.cfs_quota_us": "25000", "cpu.cfs_period_us": "50000"},
            {"cpu.max": "25000 50000"},
        ),
        (
            Resources(cpu_quota=5_000, cpu_period=10_000),
            {"cpu.cfs_quota_us": "5000", "cpu.cfs_period_us": "10000"},
            {"cpu.max": "5000 10000"},
        ),
    ),
    "cpuset_cpus": (
        (Resources(cpuset_cpus=LAST_CPU), {"cpuset.cpus": LAST_CPU}, {"cpuset.cpus": LAST_CPU}),
        (Resources(cpuset_cpus="0"), {"cpuset.cpus": "0"}, {"cpuset.cpus": "0"}),
    ),
    "cpuset_mems": ((Resources(cpuset_mems="0"), {"cpuset.mems": "0"}, {"cpuset.mems": "0"}),) * 2,
    "memory": (
        (Resources(memory=32 * MIB), {"memory.limit_in_bytes": "33554432"}, {"memory.max": "33554432"}),
        (Resources(memory=64 * MIB + 5), {"memory.limit_in_bytes": "67108864"}, {"memory.max": "67108864"}),  # to the page
    ),
    "memory_swap": (
        (
            Resources(memory=32 * MIB, memory_swap=64 * MIB),
            {"memory.limit_in_bytes": "33554432", "memory.memsw.limit_in_bytes": "67108864"},
            {"memory.max": "33554432", "memory.swap.max": "33554432"},
        ),
        (
            Resources(memory=128 * MIB, memory_swap=128 * MIB),  # more than the old sum
            {"memory.limit_in_bytes": "134217728", "memory.memsw.limit_in_bytes": "134217728"},
            {"memory.max": "134217728", "memory.swap.max": "0"},
        ),
    ),
    "memory_reservation": (
        (Resources(memory_reservation=16 * MIB), {"memory.soft_limit_in_bytes": "16777216"}, {"memory.low": "16777216"}),
        (Resources(memory_reservation=8 * MIB), {"memory.soft_limit_in_bytes": "8388608"}, {"memory.low": "8388608"}),
    ),
    "memory_swappiness": (
        (Resources(memory_swappiness=10), {"memory.swappiness": "10"}, {}),
        (Resources(memory_swappiness=0), {"memory.swappiness": "0"}, {}),
    ),
    "oom_kill_disable": (
        (Resources(oom_kill_disable=True), {"memory.oom_control": "oom_kill_disable 1"}, {}),
        (Resources(oom_kill_disable=False), {"memory.oom_control": "oom_kill_disable 0"}, {}),
    ),
    "pids_limit": (
        (Resources(pids_limit=100), {"pids.max": "100"}, {"pids.max": "100"}),
        (Resources(pids_limit=-1), {"pids.max": "max"}, {"pids.max": "max"}),
    ),
    "blkio_weight": (
        (
            Resources(blkio_weight=500),
            {"blkio.bfq.weight": "500"},
            {"io.bfq.weight": "default 500", "io.weight": "default 4950"},
        ),
        (Resources(blkio_weight=10), {"blkio.bfq.weight": "10"}, {"io.bfq.weight": "default 10", "io.weight": "default 1"}),
    ),
    "throttle_read_bps": (
        (
            Resources(throttle_read_bps=((*DISK, MIB),), throttle_write_bps=((*DISK, 2 * MIB),)),
            {"blkio.throttle.read_bps_device": f"{AT} 1048576", "blkio.throttle.write_bps_device": f"{AT} 2097152"},
            {"io.max": f"{AT} rbps=1048576 wbps=2097152 riops=max wiops=max"},
        ),
        (
            Resources(throttle_read_bps=((*DISK, 3 * MIB),)),  # the other rate stays
            {"blkio.throttle.read_bps_device": f"{AT} 3145728", "blkio.throttle.write_bps_device": f"{AT} 2097152"},
            {"io.max": f"{AT} rbps=3145728 wbps=2097152 riops=max wiops=max"},
        ),
    ),
    "throttle_read_iops": (
        (
            Resources(throttle_read_iops=((*DISK, 100),), throttle_write_iops=((*DISK, 200),)),
            {"blkio.throttle.read_iops_device": f"{AT} 100", "blkio.throttle.write_iops_device": f"{AT} 200"},
            {"io.max": f"{AT} rbps=max wbps=max riops=100 wiops=200"},
        ),
        (
            Resources(throttle_write_iops=((*DISK, 300),)),
            {"blkio.throttle.read_iops_device": f"{AT} 100", "blkio.throttle.write_iops_device": f"{AT} 300"},
            {"io.max": f"{AT} rbps=max wbps=max riops=100 wiops=300"},
        ),
    ),
    "hugetlb": (
        (Resources(hugetlb=(("2MB", 4 * MIB),)), {"hugetlb.2MB.limit_in_bytes": "4194304"}, {"hugetlb.2MB.max": "4194304"}),
        (Resources(hugetlb=(("2MB", 8 * MIB),)), {"hugetlb.2MB.limit_in_bytes": "8388608"}, {"hugetlb.2MB.max": "8388608"}),
    ),
}
# What a fresh cgroup shows already, because it takes it over from its parent: no control is possible on such a machine.
INHERITED = {"cpuset_cpus": CPUS == 1, "cpuset_mems": not Path("/sys/devices/system/node/node1").exists()}


def trees_of(manager: cgroups.Manager) -> list[Hierarchy]:
    """What this driver works with: the v2 tree alone for v2, all that is mounted for v1."""
    return [h for h in hierarchies() if h.version == 2] if isinstance(manager, v2.Manager) else hierarchies()


def wanted(manager: cgroups.Manager, resources: Resources) -> tuple[tuple[str, str], ...]:
    make = v2.settings if isinstance(manager, v2.Manager) else v1.settings
    return make(resources, lambda file: offers(trees_of(manager), file))


def expected(manager: cgroups.Manager, case: Case) -> Expected:
    """The lines that must be there: of the files that this machine has, for one of two names the first."""
    lines = {
        file: line
        for file, line in (case[2] if isinstance(manager, v2.Manager) else {**case[1], **hybrid(case)}).items()
        if offers(trees_of(manager), file)
    }
    for first, second in (("io.bfq.weight", "io.weight"), ("hugetlb.2MB.max", "hugetlb.2MB.limit_in_bytes")):
        if first in lines:
            lines.pop(second, None)
    return lines


def hybrid(case: Case) -> Expected:
    """On v1, what v2 kept of hugetlb."""
    return {file: line for file, line in case[2].items() if file.startswith("hugetlb")}


def path_of(manager: cgroups.Manager, file: str) -> Path:
    paths = manager.paths()
    return Path(paths.get(file.partition(".")[0], paths.get("", "/none")), file)


def shown(manager: cgroups.Manager, file: str) -> str:
    return path_of(manager, file).read_text()


def holds(manager: cgroups.Manager, lines: Expected) -> bool:
    return all(line in shown(manager, file).splitlines() for file, line in lines.items())


def everything(manager: cgroups.Manager) -> dict[str, str]:
    """Every file that some limit is kept in, as it reads now. (Those in a hybrid host's v2 tree are made when asked for.)"""
    files = {file for pair in CASES.values() for case in pair for file in expected(manager, case)}
    return {file: shown(manager, file) for file in sorted(files) if path_of(manager, file).exists()}

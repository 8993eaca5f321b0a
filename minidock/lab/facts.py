"""What kind of machine a measurement was taken on: saved beside every number, so that a plot can be read a year later."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any


def system_facts() -> dict[str, Any]:
    """Kernel, processor, memory (bytes), Python and the wall-clock time, as JSON-able data. Names no host and no user."""
    uname = os.uname()
    return {
        "kernel": uname.release,
        "machine": uname.machine,
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "cgroup": cgroup_version(),
        "distribution": _distribution(),
        "python": platform.python_version(),
        "taken_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def cgroup_version() -> int:
    """2 when the unified hierarchy carries the memory controller, else 1, else 0 (no cgroup mounted). cgroups(7)."""
    for mount in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        controllers = Path(mount, "cgroup.controllers")
        if controllers.is_file() and "memory" in controllers.read_text().split():
            return 2
    return 1 if any(" - cgroup " in line for line in Path("/proc/self/mountinfo").read_text().splitlines()) else 0


def cpu_times() -> dict[str, int]:
    """The first line of /proc/stat by name, in clock ticks (proc(5)): what `steal_share` takes the difference of."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    line = Path("/proc/stat").read_text().split("\n", 1)[0]
    return dict(zip(names, map(int, line.split()[1:9]), strict=True))


def steal_share(before: dict[str, int], after: dict[str, int]) -> float:
    """The share (0 to 1) of the time between two `cpu_times` that the hypervisor gave to somebody else."""
    total = sum(after.values()) - sum(before.values())
    return (after["steal"] - before["steal"]) / total if total > 0 else 0.0


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"

"""Chapter 08's experiments judge the CPU by these: ratios, quotas and cores, computed from an experiment's rows.

A goal's promise comes from what the kernel *held* in those rows (`weight`, `quota_us`), never from the flag. So the
same goal is right on cgroup v1, where ``-c 1000`` is a weight of 1000, and on v2, where it is one of 99.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from minidock.lab.counters import Group
from minidock.lab.experiment import Goal
from minidock.lab.measure import Row, column, median
from minidock.lab.verdicts import Promise

# A request after the other, each of 5 ms of CPU time, for 1.6 s; prints how long each took (ms), and nothing else.
REQUESTS = """
import time
end = time.monotonic() + 1.6
while (start := time.monotonic()) < end:
    done = time.thread_time() + 0.005
    while time.thread_time() < done:
        pass
    print(round((time.monotonic() - start) * 1e3, 2))
"""


def burners(count: int) -> list[str]:
    """The command of a container with `count` processes that never sleep."""
    return ["sh", "-c", f"for i in $(seq {count}); do while :; do :; done & done; wait"]


def cores() -> list[int]:
    """The cores that this machine lets us use, in order."""
    return sorted(os.sched_getaffinity(0))


def ratio(rows: Sequence[Row], one: str, other: str) -> float:
    """How many times the CPU time of the load `other` the load `one` got in these rows."""
    return sum(column(rows, "cpu_ns", load=one)) / max(sum(column(rows, "cpu_ns", load=other)), 1.0)


def as_weights(one: str, other: str, text: str, tolerance: float = 0.05) -> Goal:
    """`ratio`, which should be that of the two weights."""

    def promise(rows: list[Row]) -> Promise:
        return Promise.near(text, median(rows, "weight", load=one) / median(rows, "weight", load=other), tolerance)

    return Goal(lambda rows: ratio(rows, one, other), promise, "times")


def equal(one: str, other: str, text: str) -> Goal:
    """`ratio`, which should be 1.0 ± 0.1."""
    return Goal(lambda rows: ratio(rows, one, other), lambda _: Promise(text, 0.9, 1.1), "times")


def as_quota(load: str, text: str, tolerance: float = 0.03) -> Goal:
    """The cores that `load` uses on average, which should be quota ÷ period. Its windows should be whole periods."""

    def promise(rows: list[Row]) -> Promise:
        return Promise.near(text, median(rows, "quota_us", load=load) / median(rows, "period_us", load=load), tolerance)

    return Goal(lambda rows: median(rows, "cores", load=load), promise, "cores")


def on_core(core: int, text: str, share: float = 0.995) -> Goal:
    """The share of all CPU time in the rows that was spent on `core`; sample "percpu" (`percpu_source` says which counter)."""

    def quantity(rows: list[Row]) -> float:
        spent = [sum(times) for times in zip(*(row["percpu_ns"] for row in rows), strict=True)]
        return float(spent[core] / max(sum(spent), 1))

    return Goal(quantity, lambda _: Promise(text, low=share), "share of the CPU time")


def fair(weights: Mapping[str, int], where: Mapping[str, int]) -> dict[str, float]:
    """The share of its core that each busy container should get: `weights` by name, and `where`, the one core of each."""
    total: dict[int, int] = {}
    for name, weight in weights.items():
        total[where[name]] = total.get(where[name], 0) + weight
    return {name: weight / total[where[name]] for name, weight in weights.items()}


def idle_ns(core: int) -> int:
    """The time that `core` had nothing to do since boot, in nanoseconds: idle and iowait of its own line in /proc/stat
    (proc_stat(5)), which the kernel gives in clock ticks of 10 ms. Raises ValueError for a core that is not there."""
    lines = [x.split() for x in Path("/proc/stat").read_text().splitlines()]
    (ticks,) = [sum(map(int, fields[4:6])) for fields in lines if fields and fields[0] == f"cpu{core}"]
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def used(groups: Sequence[Group], seconds: float) -> list[float]:
    """The cores that each group used on average within one window of `seconds`: the growth of its CPU time by wall time."""
    before = [group.read("cpu") for group in groups]
    time.sleep(seconds)  # the window
    after = [group.read("cpu") for group in groups]
    return [(b["cpu_ns"] - a["cpu_ns"]) / (b["at_ns"] - a["at_ns"]) for a, b in zip(before, after, strict=True)]


def left_idle(group: Group, on: Sequence[int], seconds: float) -> float:
    """Of the time that `group` could have had on the cores `on`, the share (0 to 1) that nobody took, in a window of `seconds`.

    0 is work-conserving. What somebody else uses there does not count: a busy machine spoils nothing.
    """
    before = sum(map(idle_ns, on))
    (cores_used,) = used([group], seconds)
    idle = (sum(map(idle_ns, on)) - before) / 1e9 / seconds
    return idle / max(cores_used + idle, 1e-9)


def staircase(group: Group, seconds: float, every: float = 0.004) -> list[tuple[float, float]]:
    """CPU time used (ms) over time (ms), read every `every` seconds: flat where the group is held back."""
    first = group.read("cpu")
    points = []
    while (now := group.read("cpu"))["at_ns"] - first["at_ns"] < seconds * 1e9:
        points.append(((now["at_ns"] - first["at_ns"]) / 1e6, (now["cpu_ns"] - first["cpu_ns"]) / 1e6))
        time.sleep(every)
    return points

"""What chapter 08 reads of the CPU beside its experiments: who meets whom on a core, parts of one window, how a quota looks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from minidock.lab.counters import Group

# One request after the other, each of 5 ms of CPU time, for 1.3 s; prints how long each took (ms). For an image with Python.
REQUESTS = """
import time
end = time.monotonic() + 1.3
while (start := time.monotonic()) < end:
    done = time.thread_time() + 0.005
    while time.thread_time() < done:
        pass
    print(round((time.monotonic() - start) * 1e3, 2))
"""


def cores() -> list[int]:
    """The cores that this machine lets us use, in order."""
    return sorted(os.sched_getaffinity(0))


def fair(weights: Mapping[str, int], where: Mapping[str, int]) -> dict[str, float]:
    """The share of its core that each busy container should get: `weights` by name, and `where`, the one core of each."""
    total: dict[int, int] = {}
    for name, weight in weights.items():
        total[where[name]] = total.get(where[name], 0) + weight
    return {name: weight / total[where[name]] for name, weight in weights.items()}


def used(groups: Sequence[Group], seconds: float) -> list[float]:
    """The cores that each group used on average within one window of `seconds`: the growth of its CPU time by wall time."""
    before = [group.read("cpu") for group in groups]
    time.sleep(seconds)  # the window
    after = [group.read("cpu") for group in groups]
    return [(b["cpu_ns"] - a["cpu_ns"]) / (b["at_ns"] - a["at_ns"]) for a, b in zip(before, after, strict=True)]


def parts(groups: Sequence[Group], seconds: float) -> list[float]:
    """The part (0 to 1) of each group in the CPU time that they got together in a window of `seconds`."""
    taken = used(groups, seconds)
    return [one / max(sum(taken), 1e-9) for one in taken]


def ratio(one: Group, other: Group, seconds: float) -> float:
    """How many times the CPU time of `other` the group `one` got in a window of `seconds`."""
    above, below = used([one, other], seconds)
    return above / max(below, 1e-9)


def staircase(group: Group, seconds: float, every: float = 0.004) -> list[tuple[float, float]]:
    """CPU time used (ms) over time (ms), read every `every` seconds: flat where the group is held back."""
    first, points = group.read("cpu"), []
    while (now := group.read("cpu"))["at_ns"] - first["at_ns"] < seconds * 1e9:
        points.append(((now["at_ns"] - first["at_ns"]) / 1e6, (now["cpu_ns"] - first["cpu_ns"]) / 1e6))
        time.sleep(every)
    return points

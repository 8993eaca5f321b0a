"""Wrong answers to chapter 08's exercises, containers without the limit among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidock.lab import counters, cpu
from minidock.lab.chapter import Chapter
from minidock.lab.experiment import BURN
from minidock.libcontainer.cgroups import v2

Wrong = Callable[[Chapter], Any]


def pair(**options: Any) -> Wrong:
    """Two busy containers with the exercise's names and the same options."""

    def start(chapter: Chapter) -> None:
        for name in ("lab08-left", "lab08-right"):
            chapter.run("busybox", list(BURN), detach=True, name=name, **options)

    return start


def asleep(chapter: Chapter) -> None:
    for name, shares in (("lab08-left", 3072), ("lab08-right", 1024)):
        options = {"cpu_shares": shares, "cpuset_cpus": str(cpu.cores()[0])}
        chapter.run("busybox", ["sleep", "300"], detach=True, name=name, **options)


def the_other_way_round(chapter: Chapter) -> None:
    for name, shares in (("lab08-left", 1024), ("lab08-right", 3072)):
        options = {"cpu_shares": shares, "cpuset_cpus": str(cpu.cores()[0])}
        chapter.run("busybox", list(BURN), detach=True, name=name, **options)


def slow(**options: Any) -> Wrong:
    """A busy lab08-slow with these options."""

    def start(chapter: Chapter) -> None:
        chapter.run("busybox", list(BURN), detach=True, name="lab08-slow", **options)

    return start


def stopped(chapter: Chapter) -> None:
    chapter.run("busybox", ["true"], detach=True, name="lab08-slow").wait()


def since_the_start(container: Any, seconds: float) -> float:
    """The CPU time that was ever used, in seconds, after a wait of the right length."""
    group = counters.group(container)
    cpu.used([group], seconds)
    return float(group.read("cpu")["cpu_ns"]) / 1e9 + 1


WRONG: dict[str, list[Wrong]] = {
    "08-default": [lambda _: 0, lambda _: 1023, lambda _: "1024"],
    "08-who": [
        lambda _: {"a": 1000 / 1510, "b": 500 / 1510, "c": 10 / 1510},
        lambda _: {"a": 0.5, "b": 0.5, "c": 1.0},
        lambda _: {"a": 1.0},
        lambda _: {"a": "most", "b": "half", "c": "all"},
        lambda _: 5,
    ],
    "08-three": [pair(), pair(cpuset_cpus="0"), asleep, the_other_way_round],
    "08-quarter": [slow(), slow(nano_cpus=500_000_000), stopped],
    "08-weight": [lambda _: lambda shares: shares, lambda _: lambda shares: int(v2.cpu_weight_old(shares)), lambda _: 5],
    "08-cores": [
        lambda _: lambda _container, _seconds: 0.3,
        lambda _: lambda container, seconds: cpu.used([counters.group(container)], seconds)[0] * 1e9,
        lambda _: since_the_start,
        lambda _: lambda container, seconds: str(cpu.used([counters.group(container)], seconds)[0]),
        lambda _: 0.3,
    ],
}

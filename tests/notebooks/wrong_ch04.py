"""Wrong answers to chapter 04's exercises, containers and groups without the limit among them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

from minidock.lab import cgroups
from minidock.lab.chapter import Chapter

Wrong = Callable[[Chapter], Any]
SMALL: dict[str, Any] = {"cpu_shares": 512, "pids_limit": 20, "mem_limit": "48m"}


def container(name: str, **options: Any) -> Wrong:
    """A container of that name with these options."""

    def start(chapter: Chapter) -> None:
        chapter.run("busybox", ["sleep", "300"], detach=True, name=name, **options)

    return start


def ended(chapter: Chapter) -> None:
    chapter.run("busybox", ["true"], detach=True, name="lab04-small", **SMALL).wait()


def stopped_by_a_signal(chapter: Chapter) -> None:
    """SIGSTOP stops a process too, but the freezer knows nothing of it."""
    made = chapter.run("busybox", ["sleep", "300"], detach=True, name="lab04-cold")
    made.kill(signal="SIGSTOP")


def wall_clock(_chapter: Chapter) -> Callable[[str], float]:
    return lambda _id: 1.0


def another_containers(chapter: Chapter) -> Callable[[str], float]:
    """Right, but for another container."""
    from minidock.lab.exercises.ch04 import used_seconds

    other = chapter.run("busybox", ["sleep", "300"], detach=True)
    return lambda _id: used_seconds(other.id) + 5


def unlimited(_chapter: Chapter) -> Callable[[list[str], int], str]:
    return lambda argv, _most: subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def one_too_many(_chapter: Chapter) -> Callable[[list[str], int], str]:
    """Counts the children only, and forgets the program itself."""

    def few(argv: list[str], most: int) -> str:
        with cgroups.Group("wrong", "pids") as group:
            group.write("pids.max", most + 1)
            return str(group.start(argv).communicate()[0])

    return few


def left_behind(_chapter: Chapter) -> Callable[[list[str], int], str]:
    """Right but for the cgroup, which stays."""

    def few(argv: list[str], most: int) -> str:
        group = cgroups.Group("wrong", "pids")
        group.write("pids.max", most)
        return str(group.start(argv).communicate()[0])

    return few


WRONG: dict[str, list[Wrong]] = {
    "04-refused": [
        lambda _: "pids.max",
        lambda _: "pids.current",
        lambda _: "pids.refused",
        lambda _: "cgroup.procs",
        lambda _: "/etc/passwd",
        lambda _: 3,
    ],
    "04-small": [
        container("lab04-small"),
        container("lab04-small", **{**SMALL, "cpu_shares": 1024}),
        container("lab04-small", **{**SMALL, "pids_limit": 200}),
        container("lab04-small", cpu_shares=512, pids_limit=20),
        ended,
    ],
    "04-live": [container("lab04-small"), container("lab04-small", pids_limit=13)],
    "04-cold": [container("lab04-cold"), stopped_by_a_signal],
    "04-cpu": [lambda _: 5, wall_clock, lambda _: lambda _id: "much", another_containers],
    "04-few": [lambda _: 5, unlimited, one_too_many, left_behind, lambda _: lambda _argv, most: str(most - 1 + 0.5)],
}

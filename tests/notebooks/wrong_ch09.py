"""Wrong answers to chapter 09's exercises, containers without the limit among them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidock.lab import counters, facts
from minidock.lab.chapter import Chapter
from minidock.libcontainer import cgroups

MIB = 1 << 20
Wrong = Callable[[Chapter], Any]


def container(name: str, **options: Any) -> Wrong:
    """A container of that name with these options."""

    def start(chapter: Chapter) -> None:
        chapter.run("busybox", ["sleep", "300"], detach=True, name=name, **options)

    return start


def ended(chapter: Chapter) -> None:
    chapter.run("busybox", ["true"], detach=True, name="lab09-tight", mem_limit="24m", memswap_limit="24m").wait()


def raised_with_too_little_swap(chapter: Chapter) -> None:
    grow = chapter.run("busybox", ["sleep", "300"], detach=True, name="lab09-grow", mem_limit="16m")
    grow.update(mem_limit="48m", memswap_limit="48m")


def raised_behind_the_engines_back(chapter: Chapter) -> None:
    """The kernel's files alone: inspect does not know, and the next start forgets."""
    grow = chapter.run("busybox", ["sleep", "300"], detach=True, name="lab09-grow", mem_limit="16m")
    folder = Path(next(d for c, d in counters.group(grow).directories.items() if c in ("memory", "")))
    if facts.cgroup_version() == 1:
        (folder / "memory.memsw.limit_in_bytes").write_text(str(96 * MIB))
        (folder / "memory.limit_in_bytes").write_text(str(48 * MIB))
    else:
        (folder / "memory.max").write_text(str(48 * MIB))
        (folder / "memory.swap.max").write_text(str(48 * MIB))


def without_swap(_chapter: Chapter) -> Callable[[Any], int]:
    """What is left of memory alone."""

    def room(container: Any) -> int:
        group = counters.group(container)
        return int(group.held()["memory_limit"] - group.read("memory")["memory"])

    return room


def unlimited(_chapter: Chapter) -> Callable[[list[str], int], int]:
    return lambda argv, _size: subprocess.run(argv, capture_output=True, check=False).returncode


def left_behind(_chapter: Chapter) -> Callable[[list[str], int], int]:
    """Right but for the cgroup, which stays (and is reused)."""

    def limited(argv: list[str], size: int) -> int:
        version = facts.cgroup_version()
        folder = Path(cgroups.manager("/lab09-mine").paths()["memory" if version == 1 else ""])
        folder.mkdir(exist_ok=True)
        both = "memory.memsw.limit_in_bytes" if version == 1 else "memory.swap.max"
        (folder / ("memory.limit_in_bytes" if version == 1 else "memory.max")).write_text(str(size))
        (folder / both).write_text(str(size if version == 1 else 0))
        enter = f'echo $$ > {folder}/cgroup.procs; exec "$@"'
        return subprocess.run(["sh", "-c", enter, "sh", *argv], capture_output=True, check=False).returncode

    return limited


WRONG: dict[str, list[Wrong]] = {
    "09-swap-bytes": [lambda _: 100 * MIB, lambda _: 40 * MIB, lambda _: "60m"],
    "09-stress-code": [lambda _: 137, lambda _: 0, lambda _: "1"],
    "09-noswap": [
        container("lab09-tight"),
        container("lab09-tight", mem_limit="24m"),
        container("lab09-tight", mem_limit="24m", memswap_limit=-1),
        container("lab09-tight", mem_limit="32m", memswap_limit="32m"),
        ended,
    ],
    "09-raise": [
        container("lab09-grow"),
        container("lab09-grow", mem_limit="48m", memswap_limit="64m"),
        raised_with_too_little_swap,
        raised_behind_the_engines_back,
    ],
    "09-room": [lambda _: 7, lambda _: lambda _c: 64 * MIB, lambda _: lambda _c: "much", without_swap],
    "09-limited": [lambda _: 5, unlimited, left_behind, lambda _: lambda _argv, _size: -9],
}

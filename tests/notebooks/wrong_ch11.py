"""Wrong answers to chapter 11's exercises, containers without the limit among them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

from minidock.lab import counters
from minidock.lab.chapter import Chapter
from minidock.lab.exercises.ch11 import lab_disk
from minidock.lab.loopdisk import disk_of

MIB = 1 << 20
Wrong = Callable[[Chapter], Any]


def container(name: str, path: Callable[[], str] | None = None, **rates: int) -> Wrong:
    """A container of that name with these limits (device_write_bps=…) on `path`, by default the exercises' disk."""

    def start(chapter: Chapter) -> None:
        device = path() if path else lab_disk().disk.path
        limits = {option: [{"Path": device, "Rate": rate}] for option, rate in rates.items()}
        chapter.run("busybox", ["sleep", "300"], detach=True, name=name, **limits)

    return start


def machines_disk() -> str:
    disk = disk_of("/")
    return disk.path if disk else lab_disk().disk.path.replace("loop", "loop-")


def ended(chapter: Chapter) -> None:
    limit = [{"Path": lab_disk().disk.path, "Rate": 2 * MIB}]
    chapter.run("busybox", ["true"], detach=True, name="lab11-slow", device_write_bps=limit).wait()


def since_the_start(_chapter: Chapter) -> Callable[[Any, float], float]:
    """All that was ever written, by the seconds of the window."""

    def rate(container: Any, seconds: float) -> float:
        time.sleep(seconds)
        return float(counters.counters(container, "blkio")["write_bytes"]) / seconds + 9 * MIB

    return rate


def unlimited(_chapter: Chapter) -> Callable[[list[str], str, int], float]:
    def throttled(argv: list[str], _number: str, _rate: int) -> float:
        start = time.monotonic()
        subprocess.run(argv, check=True)
        return time.monotonic() - start

    return throttled


WRONG: dict[str, list[Wrong]] = {
    "11-charged": [lambda _: 0, lambda _: 12, lambda _: "6"],
    "11-slow": [
        container("lab11-slow"),
        container("lab11-slow", device_write_bps=4 * MIB),
        container("lab11-slow", device_read_bps=2 * MIB),
        container("lab11-slow", device_write_bps=2 * MIB, device_read_bps=2 * MIB),
        container("lab11-slow", machines_disk, device_write_bps=2 * MIB),
        ended,
    ],
    "11-two": [
        container("lab11-two"),
        container("lab11-two", device_read_iops=100),
        container("lab11-two", device_read_iops=100, device_read_bps=2 * MIB),
        container("lab11-two", device_read_iops=200, device_read_bps=MIB),
        container("lab11-two", device_read_iops=100, device_read_bps=MIB, device_write_bps=MIB),
    ],
    "11-rate": [lambda _: 5, lambda _: lambda _c, _s: 0, lambda _: lambda _c, _s: 4.0 * MIB, since_the_start],
    "11-throttled": [lambda _: 5, unlimited, lambda _: lambda _argv, _number, _rate: 1.0],
}

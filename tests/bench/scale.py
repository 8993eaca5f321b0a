"""From 1 to 500 containers: does the next one cost more, in time or in memory?"""

from __future__ import annotations

import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from tests.bench.measure import OUT, Row, Table
from tests.bench.stage import Stage

SIZES = (1, 10, 50, 100, 200, 300, 400, 500)


def available() -> float:
    """MemAvailable in MiB."""
    line = next(x for x in Path("/proc/meminfo").read_text().splitlines() if x.startswith("MemAvailable"))
    return int(line.split()[1]) / 1024


def run(stage: Stage) -> list[Table]:
    containers: list[object] = []
    took, memory = [], []
    before = available()
    for size in SIZES:
        begin, number = time.perf_counter(), size - len(containers)
        while len(containers) < size:
            containers.append(stage.client.containers.run("busybox", "sleep 600", detach=True, network_mode="none"))
        took.append((time.perf_counter() - begin) * 1000 / number)
        memory.append((before - available()) / size)
    for container in containers:
        container.remove(force=True)  # type: ignore[attr-defined]
    draw(took, memory)
    return [
        Table(
            "One more container, by how many there are",
            "ms",
            "flat",
            [Row(f"up to {n}", [t]) for n, t in zip(SIZES, took, strict=True)],
        ),
        Table("Memory per container", "MiB", "flat", [Row(f"{n}", [m]) for n, m in zip(SIZES, memory, strict=True)]),
    ]


def draw(took: list[float], memory: list[float]) -> None:
    """Two figures side by side, one message each."""
    OUT.mkdir(parents=True, exist_ok=True)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    left.plot(SIZES, took, "o-", color="#0072B2")
    left.set(xlabel="containers running", ylabel="start of one more (ms)", title="Time per start", ylim=(0, None))
    right.plot(SIZES, memory, "o-", color="#D55E00")
    right.set(xlabel="containers running", ylabel="memory per container (MiB)", title="Memory", ylim=(0, None))
    figure.savefig(OUT / "scale.png", dpi=120)
    plt.close(figure)

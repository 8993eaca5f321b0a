"""Where a warm start spends its time: each step's share, from engine.trace(), as a bar chart."""

from __future__ import annotations

import statistics
from collections import defaultdict

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from tests.bench.measure import OUT, Row, Table
from tests.bench.stage import Stage

ROUNDS, SHOWN = 20, 24
COLOURS = {"engine": "#0072B2", "shim": "#E69F00", "init": "#009E73"}


def run(stage: Stage) -> list[Table]:
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        with stage.client.trace() as trace:
            stage.client.containers.run("busybox", "true", network_mode="none", remove=True)
        sums: dict[tuple[str, str], float] = defaultdict(float)
        for step in trace:
            sums[step.process, step.name] += step.duration / 1e6
        for key, value in sums.items():
            samples[key].append(value)
    largest = sorted(samples, key=lambda k: -statistics.median(samples[k]))[:SHOWN]
    draw({key: statistics.median(samples[key]) for key in largest})
    rows = [Row(f"{process:6} {name}", samples[process, name]) for process, name in largest]
    return [Table("Steps of a warm start, the largest first (processes overlap)", "ms", "none", rows)]


def draw(medians: dict[tuple[str, str], float]) -> None:
    """One bar a step, coloured by process."""
    OUT.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(8, 6), constrained_layout=True)
    keys = list(medians)[::-1]
    axes.barh([f"{p}: {n}" for p, n in keys], [medians[k] for k in keys], color=[COLOURS[p] for p, _ in keys])
    axes.set(xlabel="time (ms, median of 20 runs)", title="Where a warm start of busybox true spends its time")
    figure.savefig(OUT / "steps.png", dpi=120)
    plt.close(figure)

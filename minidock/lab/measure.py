"""Measuring: do it several times, on a clock that never jumps, keep every sample, and save them beside the machine's facts.

A measurement here is a list of *tidy rows*: one dict per observation, one key per variable (``{"case": "net", "round": 3,
"ms": 0.83}``). A plot, a verdict and a reader with pandas all start from the same rows.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from minidock.lab import facts, workspace

Row = dict[str, Any]


def clock() -> float:
    """CLOCK_MONOTONIC in milliseconds: the clock that neither a user nor NTP sets back."""
    return time.monotonic_ns() / 1e6


def timed(action: Callable[[], object]) -> float:
    """Do `action` once; the milliseconds it took."""
    start = clock()
    action()
    return clock() - start


def repeat(cases: Mapping[str, Callable[[], object]], rounds: int, *, warmup: int = 1) -> list[Row]:
    """Time every case `rounds` times, *interleaved*: round 1 of each, then round 2 of each, and so on.

    Interleaving matters: a machine that slows down for a second then slows all cases alike, where blocks of one case
    after the other would blame it on one of them. `warmup` unrecorded rounds come first. Returns tidy rows with ``case``,
    ``round`` and ``ms``.
    """
    for _ in range(warmup):
        for action in cases.values():
            action()
    return [{"case": name, "round": i, "ms": timed(action)} for i in range(rounds) for name, action in cases.items()]


def column(rows: Iterable[Row], key: str, **where: object) -> list[float]:
    """The values of `key` in the rows that have all of `where` (``column(rows, "ms", case="net")``)."""
    return [float(r[key]) for r in rows if all(r.get(k) == v for k, v in where.items())]


def median(rows: Iterable[Row], key: str, **where: object) -> float:
    """The median of `column`. Raises statistics.StatisticsError if no row matches."""
    return statistics.median(column(rows, key, **where))


def medians(rows: list[Row], key: str = "ms", by: str = "case") -> dict[str, float]:
    """The median of `key` for each value of `by`, in order of first appearance."""
    return {name: median(rows, key, **{by: name}) for name in dict.fromkeys(str(r[by]) for r in rows)}


def save(name: str, rows: list[Row], **about: object) -> Path:
    """Keep `rows` as ``build/measurements/NAME.json`` with the machine's facts; `about` says what else a reader must know."""
    content = {"name": name, "system": facts.system_facts(), "about": about, "rows": rows}
    return workspace.write_json(workspace.build_dir("measurements") / f"{name}.json", content)


def load(name: str) -> list[Row]:
    """The rows that `save` kept under `name`. Raises FileNotFoundError if there are none."""
    path = workspace.build_dir("measurements") / f"{name}.json"
    content = workspace.read_json(path, None)
    if content is None:
        raise FileNotFoundError(path)
    rows: list[Row] = content["rows"]
    return rows

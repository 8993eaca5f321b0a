"""Timing things side by side: in turn, several rounds, the median and the spread; ratios from the same round."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "build" / "bench"


@dataclass
class Row:
    """One subject's measurements: `samples` in the table's unit; `reference` marks what the ratios are against."""

    subject: str
    samples: list[float] = field(default_factory=list)
    reference: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


@dataclass
class Table:
    """One experiment's outcome: a title, a unit, the promise that is judged by eye, and the rows."""

    title: str
    unit: str
    promise: str
    rows: list[Row]

    def text(self) -> str:
        """Columns: subject, minimum, median, maximum, and the ratio to the reference as the median of the rounds' ratios."""
        reference = next((r for r in self.rows if r.reference), None)
        lines = [f"{self.title}  [{self.unit}]", f"  {'':44}{'min':>9}{'median':>9}{'max':>9}{'ratio':>8}"]
        for row in self.rows:
            ratio = ""
            if reference is not None:
                pairs = list(zip(row.samples, reference.samples, strict=False))
                ratio = f"{statistics.median(a / b for a, b in pairs):8.2f}"
            low, high = min(row.samples), max(row.samples)
            lines.append(f"  {row.subject:44}{low:9.2f}{row.median:9.2f}{high:9.2f}{ratio}")
        return "\n".join([*lines, f"  promise: {self.promise}"])

    def save(self, name: str) -> None:
        """The samples as JSON under build/bench."""
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"{name}.json").write_text(json.dumps(asdict(self), indent=1))


def in_turn(
    subjects: dict[str, Callable[[], float]], *, rounds: int, idle: float = 0.0, reference: str = "", warmup: int = 2
) -> list[Row]:
    """Run each subject once per round, in turn; a subject returns its own time. `idle` seconds pass before each run:
    that is what is measured ("after a second of idleness"), not a wait for anything."""
    rows = [Row(name, reference=name == reference) for name in subjects]
    for i in range(warmup + rounds):
        for row in rows:
            if idle:
                time.sleep(idle)
            took = subjects[row.subject]()
            if i >= warmup:
                row.samples.append(took * 1000)
    return rows


def timed(action: Callable[[], object]) -> Callable[[], float]:
    """A subject from a plain function: its wall time in seconds."""

    def subject() -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return subject

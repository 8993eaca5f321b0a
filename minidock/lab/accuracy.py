"""``python -m minidock.lab.accuracy``: how exactly each limit holds on this machine, each with its negative control.

For every promise one line: the verdict, what was measured, and what the same verdict says of the same load *without* the limit
(it must FAIL). Runs in an instance of its own in a temporary folder; saves the rows like any experiment. ::

    python -m minidock.lab.accuracy                       all, judged: exit code 1 when a promise or a control does not hold
    python -m minidock.lab.accuracy --directions          for a machine without steady time (an emulated one): judges only that
                                                          the limited run is nearer to its promise than the control
    python -m minidock.lab.accuracy --stretch 8           windows eight times as long, for a machine that is so much slower
    python -m minidock.lab.accuracy quota memory          some of them
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minidock
from minidock.daemon.system.teardown import teardown
from minidock.lab import facts, scenarios
from minidock.lab.experiment import Experiment, Result, judge
from minidock.lab.verdicts import FAIL, INCONCLUSIVE, PASS, Promise, number

MiB = 1 << 20
CASES: dict[str, Callable[[Path], Experiment]] = {
    "shares": lambda _: scenarios.shares_on_one_core(1000, 500),
    "three": lambda _: scenarios.shares_on_one_core(2048, 1024, 512),
    "equal": lambda _: scenarios.shares_on_one_core(None, None),
    "alone": lambda _: scenarios.alone(50),
    "cpuset": lambda _: scenarios.pinned(0),
    "quota": lambda _: scenarios.quota(0.5),
    "memory": lambda _: scenarios.memory(
        32 * MiB, swap=32 * MiB, seconds=1.0, every=0.25, command=scenarios.at_once(48 * MiB, outlive=True)
    ),
    "disk": lambda folder: scenarios.disk(folder, write_bps=10 * MiB),
}
# Without shares, or alone, there is no limit whose absence would show.
WITHOUT_CONTROL = ("equal", "alone")


@dataclass(frozen=True)
class Line:
    """One promise: the judged run, and its control judged by the same promise (None where there can be none)."""

    name: str
    result: Result
    control: Result | None

    @property
    def holds(self) -> bool:
        """The promise is kept, and the control breaks it."""
        return bool(self.result.verdict) and (self.control is None or self.control.verdict.outcome == FAIL)

    @property
    def direction(self) -> bool:
        """The limited run is nearer to what was promised than the control. Without a control: the promise is not broken."""
        if self.control is None:
            return self.result.verdict.outcome in (PASS, INCONCLUSIVE)
        return _away(self.result) < _away(self.control)

    def __str__(self) -> str:
        lines = [f"{self.result.verdict}", f"    measured: {self.result.verdict.detail()}"]
        if self.control is not None:
            mean = statistics.fmean(self.control.samples)
            lines.append(f"    without the limit: {number(mean)}: {self.control.verdict.outcome}")
        return "\n".join(lines)


def table(names: list[str], client: Any, folder: Path, stretch: float = 1.0) -> Iterator[Line]:
    """Measure the cases of these names, one after the other, each with `stretch` times its time. Raises KeyError for a name
    that is none."""
    for name in names:
        experiment = CASES[name](folder)
        experiment = dataclasses.replace(experiment, seconds=experiment.seconds * stretch)
        budget = 15.0 * stretch
        result = judge(experiment, engine=client, seconds=budget)
        bare, control = experiment.without_limits(), None
        if name not in WITHOUT_CONTROL:
            control = judge(bare, engine=client, promise=result.promise, at_most=8, seconds=budget)
        yield Line(name, result, control)


def main(argv: list[str]) -> int:
    """The command line. Returns its exit code."""
    parser = argparse.ArgumentParser(prog="accuracy", description="How exactly each limit holds on this machine.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {' '.join(CASES)}")
    parser.add_argument("--directions", action="store_true", help="judge directions only")
    parser.add_argument("--stretch", type=float, default=1.0, metavar="N", help="windows N times as long")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - CASES.keys():
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    here = facts.system_facts()
    sys.stdout.write("{taken_at}, Linux {kernel}, cgroup v{cgroup}, {cpus} CPUs: {cpu}\n".format(**here))
    with instance() as (client, folder):
        return show(table(options.names or list(CASES), client, folder, options.stretch), directions=options.directions)


def show(lines: Iterable[Line], *, directions: bool = False) -> int:
    """Write each line as soon as it is there. Returns the exit code: 1 if one does not hold, or there was none."""
    held: list[bool] = []
    for line in lines:
        held.append(line.direction if directions else line.holds)
        sys.stdout.write(f"{'ok ' if held[-1] else 'NO '} {line.name}: {line}\n")
        sys.stdout.flush()
    return 0 if held and all(held) else 1


@contextmanager
def instance() -> Iterator[tuple[Any, Path]]:
    """A client with busybox and an instance of its own, and a folder on the same disk; both gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="accuracy-", dir="/var/tmp") as name, ExitStack() as undo:
        root, folder = Path(name, "root"), Path(name, "disk")
        folder.mkdir()
        undo.callback(teardown, root)
        client = undo.enter_context(minidock.from_env(root))
        client.api.bootstrap(images=("busybox",))
        yield client, folder


def _away(result: Result) -> float:
    """How far the mean is outside the promise; 0 inside."""
    promise: Promise = result.promise
    mean = statistics.fmean(result.samples)
    return max(promise.low - mean, mean - promise.high, 0.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

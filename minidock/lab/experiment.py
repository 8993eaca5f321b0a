"""An experiment is data: containers with their limits, what is counted, for how long, how often. This runs it.

::

    halves = Experiment("halves", [Load("a", BURN, {"cpu_shares": 1000}), Load("b", BURN, {"cpu_shares": 500})])
    rows = run(halves)                        tidy rows, saved as build/measurements/halves.json with the machine's facts
    rows += run(halves, engine="docker")      the same on a real Docker
    result = judge(halves)                    rounds until the goal's interval is clear: result.verdict, result.rows
    control = judge(halves.without_limits(), promise=result.promise)      the negative control: must FAIL

    round 1                                     round 2
    ├ settle ┼ window 1 ┼ window 2 ┤            ├ window 1 ┼ window 2 ┤         one row per load and window
    start    read       read       read         read       read       read      counters at both ends
             └─ the same containers through all rounds, or with fresh=True new ones for each ─┘

A *row* is a dict: experiment, engine, load, round, window, ``t`` (seconds since these containers were first read, at the
window's end), ``seconds`` (the window's exact length), every counter of `minidock.lab.counters` (the growth, or the level at
the end), ``cores`` (CPU time ÷ wall time), and what the kernel held (weight, quota_us, memory_limit, …; ``entitled`` is the
load's part of all weights). A load that ended has ``ended: True``, ``exit_code`` and ``oom_killed`` in its last row and no
counters.

Whatever happens, the containers are removed: each stands in an ExitStack before it is started, and carries a label.
"""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from minidock.lab import counters, engines, measure, verdicts
from minidock.lab.measure import Row
from minidock.lab.progress import bar
from minidock.lab.verdicts import Promise, Verdict

# A steady CPU burner that every image with a shell has: no memory, no disk, one process.
BURN = ("sh", "-c", "while :; do :; done")
_SAMPLING = 0.004  # seconds between two looks at the `processor` fields (v2 has no per-CPU counter)


@dataclass(frozen=True)
class Load:
    """One container: `command` under `limits` (client keywords: cpu_shares=, mem_limit=, …).

    `fixed` are client keywords that belong to the set-up and not to what is examined (a cpuset that makes the contenders
    meet, a volume): the negative control keeps them.
    """

    name: str
    command: str | Sequence[str] = BURN
    limits: Mapping[str, Any] = field(default_factory=dict)
    image: str = "busybox"
    fixed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """What is judged: `quantity` makes one number of one round's rows; `promise` says where it should lie, from what the kernel
    held in those rows. `unit` is the quantity's, for axes.

    `counts` says whether a round can tell anything: one in which the machine had no time for a container, so that its limit was
    never reached, is kept in the rows and left out of the verdict.
    """

    quantity: Callable[[list[Row]], float]
    promise: Callable[[list[Row]], Promise]
    unit: str = ""
    counts: Callable[[list[Row]], bool] = lambda _rows: True


@dataclass(frozen=True)
class Experiment:
    """See the module. `seconds` is the length of one window, `settle` what passes unmeasured after the start."""

    name: str
    loads: Sequence[Load]
    sample: tuple[str, ...] = ("cpu",)
    seconds: float = 0.5
    rounds: int = 6
    windows: int = 1
    settle: float = 0.2
    fresh: bool = False
    goal: Goal | None = None

    def without_limits(self) -> Experiment:
        """The negative control: the same containers and loads, none of the limits."""
        bare = [dataclasses.replace(load, limits={}) for load in self.loads]
        return dataclasses.replace(self, name=f"{self.name}-without", loads=bare)


@dataclass(frozen=True, repr=False)
class Result:
    """A judged experiment. ``print(result)`` is the verdict's stable line."""

    experiment: Experiment
    rows: list[Row]
    verdict: Verdict

    @property
    def promise(self) -> Promise:
        """What was promised; hand it to the control's `judge`."""
        return self.verdict.promise

    @property
    def expected(self) -> float:
        """The value that follows from what the kernel held: the middle of the promise, or its one edge."""
        edges = [edge for edge in (self.promise.low, self.promise.high) if math.isfinite(edge)]
        return sum(edges) / len(edges)

    @property
    def samples(self) -> tuple[float, ...]:
        """The goal's quantity, round by round."""
        return self.verdict.samples

    def __repr__(self) -> str:
        return str(self.verdict)


def run(experiment: Experiment, *, engine: str | Any = "minidock", progress: bool = True) -> list[Row]:
    """All rounds; the rows, also saved under the experiment's name. `engine` is "minidock", "docker" or a client.

    Raises what the engine raises (a limit that it refuses), with nothing left behind.
    """
    rows: list[Row] = []
    with running(experiment, engine=engine) as bench, bar(experiment.name, experiment.rounds, progress) as advance:
        for _ in range(experiment.rounds):
            rows += bench.round()
            advance()
    _save(experiment, bench.engine, rows)
    return rows


def judge(
    experiment: Experiment,
    *,
    engine: str | Any = "minidock",
    promise: Promise | None = None,
    at_least: int = 4,
    at_most: int = 30,
    seconds: float = 15.0,
    progress: bool = True,
) -> Result:
    """Rounds until the goal is kept or broken (verdicts.judge), the rows saved. `promise` overrides the goal's own: the control
    of a limited run is judged by the limited run's promise. When `seconds` pass without a round that counts, it is
    INCONCLUSIVE. Raises ValueError for an experiment without a goal."""
    if experiment.goal is None:
        raise ValueError(f"the experiment {experiment.name} has no goal to be judged by")
    rows: list[Row] = []
    with running(experiment, engine=engine) as bench, bar(experiment.name, at_most, progress) as advance:
        rounds = _Rounds(bench, experiment.goal, rows, advance, seconds)
        try:
            rounds.first()
            promised = promise or experiment.goal.promise(rows)  # from what the kernel held
            verdict = verdicts.judge(promised, rounds.sample, at_least=at_least, at_most=at_most, seconds=seconds)
        except _NoneCounts:
            promised = promise or experiment.goal.promise(rows)
            samples = tuple(rounds.samples) or (math.nan,)
            verdict = Verdict(promised, verdicts.INCONCLUSIVE, samples, verdicts.interval(samples))
    _save(experiment, bench.engine, rows, verdict=str(verdict), detail=verdict.detail())
    return Result(experiment, rows, verdict)


class _NoneCounts(Exception):
    """The time is up, and the last rounds told nothing."""


@dataclass
class _Rounds:
    """The rounds of a judged experiment: `sample` gives the quantity of the next one that counts."""

    bench: Bench
    goal: Goal
    rows: list[Row]
    advance: Callable[[], None]
    seconds: float
    samples: list[float] = field(default_factory=list)
    _until: float = 0.0
    _ready: list[float] = field(default_factory=list)

    def first(self) -> None:
        """Take the first sample before it is asked for: the promise is made of its rows. The time runs from here."""
        if not self.bench.experiment.fresh:
            self.bench.start()
        self._until = time.monotonic() + self.seconds
        self._ready.append(self.sample())

    def sample(self) -> float:
        """Raises _NoneCounts when the time is up."""
        while not self._ready:
            taken = self.bench.round()
            self.rows.extend(taken)
            self.advance()
            if self.goal.counts(taken):
                self.samples.append(self.goal.quantity(taken))
                return self.samples[-1]
            if time.monotonic() > self._until:
                raise _NoneCounts
        return self._ready.pop()


@contextmanager
def running(experiment: Experiment, *, engine: str | Any = "minidock") -> Iterator[Bench]:
    """The experiment's containers, running; call `Bench.round` as often as you like. They are gone when the ``with`` ends."""
    with engines.opened(engine) as opened, ExitStack() as undo:
        for image in dict.fromkeys(load.image for load in experiment.loads):
            engines.provide(opened, image)
        yield Bench(experiment, opened, undo)


class Bench:
    """A running experiment. `containers` holds the load's name → its container (docker-py's shape) once a round has begun."""

    def __init__(self, experiment: Experiment, engine: engines.Engine, undo: ExitStack) -> None:
        self.experiment, self.engine = experiment, engine
        self.containers: dict[str, Any] = {}
        self._groups: dict[str, counters.Group] = {}
        self._told: set[str] = set()
        self._rounds, self._since = 0, 0.0
        self._undo = undo

    def start(self) -> None:
        """Make and start the containers, unless they run; then let the loads get going."""
        if self.containers:
            return
        for load in self.experiment.loads:
            self.containers[load.name] = container = self._create(load)
            self._undo.callback(container.remove, force=True, v=True)
        for name, container in self.containers.items():
            container.start()
            with suppress(FileNotFoundError):  # it has ended already: the first round says so
                self._groups[name] = counters.group(container)
        self._told = set()
        time.sleep(self.experiment.settle)

    def stop(self) -> None:
        """Remove the containers; the next round makes new ones."""
        self._undo.close()
        self.containers, self._groups, self._since = {}, {}, 0.0

    def round(self) -> list[Row]:
        """One round: its windows, one row per load in each. A load that has ended has one last row that says how."""
        if self.experiment.fresh:
            self.stop()
        self.start()
        before, held = self._first()
        start = time.monotonic()
        self._since = self._since or start
        rows = self._ended(0)
        for window in range(self.experiment.windows):
            placed = self._wait(start + (window + 1) * self.experiment.seconds, before)
            for name in list(self._groups):
                about = self._about(name, window)
                if (after := self._read(name)) is not None:
                    rows.append({**about, **_window(before[name], after, placed[name]), **held[name]})
                    before[name] = after
            rows += self._ended(window)
            if not self._groups:
                break
        self._rounds += 1
        return rows

    def _first(self) -> tuple[dict[str, counters.Values], dict[str, counters.Values]]:
        """Each living load's counters, and what the kernel holds for it."""
        before, held = {}, {}
        for name in list(self._groups):
            limits = self._asked(name, counters.Group.held)
            values = self._read(name)
            if limits is not None and values is not None:
                before[name], held[name] = values, limits
        total = sum(values.get("weight") or 0 for values in held.values())
        for values in held.values():
            values["entitled"] = (values.get("weight") or 0) / total if total else None
        return before, held

    def _create(self, load: Load) -> Any:
        options = {"network_mode": "none", **load.fixed, **load.limits}
        options["labels"] = {**options.get("labels", {}), **self.engine.labels}
        command = load.command if isinstance(load.command, str) else list(load.command)
        return self.engine.client.containers.create(load.image, command, detach=True, **options)

    def _read(self, name: str) -> counters.Values | None:
        return self._asked(name, lambda group: group.read(*self.experiment.sample))

    def _asked(self, name: str, question: Callable[[counters.Group], counters.Values]) -> counters.Values | None:
        """What a load's cgroup answers; None when it is gone, and then it is not asked again."""
        if name not in self._groups:
            return None
        try:
            return question(self._groups[name])
        except FileNotFoundError:
            del self._groups[name]
            return None

    def _about(self, name: str, window: int) -> Row:
        about = {"experiment": self.experiment.name, "engine": self.engine.name, "load": name}
        return {**about, "round": self._rounds, "window": window, "t": time.monotonic() - self._since}

    def _ended(self, window: int) -> list[Row]:
        """A last row for each load that has ended since this was asked last."""
        rows = []
        for name in self.containers.keys() - self._groups.keys() - self._told:
            container = self.containers[name]
            container.wait()  # its cgroup goes a moment before its exit code is there
            container.reload()
            state = container.attrs["State"]
            rows.append({**self._about(name, window), "ended": True,
                         "exit_code": state["ExitCode"], "oom_killed": state["OOMKilled"]})  # fmt: skip
            self._told.add(name)
        return rows

    def _wait(self, until: float, alive: Iterable[str]) -> dict[str, Counter[int]]:
        """Let the window pass. Where the kernel counts no CPU's time apart (v2), look meanwhile who is on which."""
        seen: dict[str, Counter[int]] = {name: Counter() for name in alive}
        watched = [n for n in seen if self._groups[n].version == 2 and "percpu" in self.experiment.sample]
        while watched and (left := until - time.monotonic()) > 0:
            for name in watched:
                seen[name] += counters.processors(self._groups[name].pids())
            time.sleep(min(left, _SAMPLING))
        time.sleep(max(0.0, until - time.monotonic()))
        return seen


def _window(before: counters.Values, after: counters.Values, placed: Counter[int]) -> Row:
    """The window between two readings, with `cores`, and per CPU what the kernel counted or what was seen."""
    row = counters.difference(before, after)
    if "cpu_ns" in row:
        row["cores"] = row["cpu_ns"] / 1e9 / row["seconds"]
    if "percpu_ns" in row:
        row["percpu_source"] = "cpuacct.usage_percpu"
    elif placed and "cpu_ns" in row:
        total = sum(placed.values())
        shares = [placed[cpu] / total for cpu in range(os.cpu_count() or 1)]
        row["percpu_ns"] = [int(row["cpu_ns"] * share) for share in shares]
        row["percpu_source"] = f"processor field, {total} samples"
    return row


def _save(experiment: Experiment, engine: engines.Engine, rows: list[Row], **about: object) -> None:
    name = experiment.name if engine.name == "minidock" else f"{experiment.name}-{engine.name}"
    measure.save(name, rows, engine=engine.name, loads=[_described(load) for load in experiment.loads], **about)


def _described(load: Load) -> Row:
    return {"name": load.name, "command": load.command, "image": load.image,
            "limits": dict(load.limits), "fixed": dict(load.fixed)}  # fmt: skip

"""Move a limit of a *running* container and watch what it does.

``follow(experiment, CPU)`` first measures the static way: it moves the limit through a list of values, a few seconds each,
and draws all that was counted with the limit as the kernel held it. In a live notebook a slider and a picture come below: the
slider calls ``container.update``, as ``docker update`` does, and the picture follows until *stop*, or until its time is up.
Another cell ends it, too: what that cell measures must not share the machine with containers that were forgotten.

::

    the kernel's main thread     slider ── container.update(…)          redraw ──> the picture
                                                                          ▲    (one at a time: a slow one leaves windows out)
    a thread                     Bench.round(), again and again ── rows ──┘    (reads counters, draws and removes nothing)
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from minidock.lab import measure, plots_experiment, widgets
from minidock.lab.experiment import Bench, Experiment, running
from minidock.lab.measure import Row
from minidock.lab.plots import Picture

MiB = 1 << 20


@dataclass(frozen=True)
class Dial:
    """A limit that can be moved while its container runs.

    `values` are the slider's positions in `unit`; `change` makes container.update's keywords of one. `key` is the row's counter
    that shows the effect, `limit` what the kernel holds, both divided by `scale` for the axis `label`; `limit_label` says what
    that limit is.
    """

    label: str
    unit: str
    values: tuple[float, ...]
    change: Callable[[float], Mapping[str, Any]]
    key: str
    limit: Callable[[Row], float | None]
    scale: float = 1.0
    sample: tuple[str, ...] = ("cpu",)
    limit_label: str = "the limit (read from the kernel)"


def _quota(row: Row) -> float | None:
    return row["quota_us"] / row["period_us"] if row.get("quota_us") else None


CPU = Dial(
    "CPU used", "cores", (1.0, 0.5, 0.25, 0.75),
    lambda cores: {"cpu_period": 100_000, "cpu_quota": round(cores * 100_000)}, "cores", _quota,
)  # fmt: skip
SHARES = Dial(
    "CPU used", "shares", (1024, 512, 256, 2048),
    lambda shares: {"cpu_shares": int(shares)}, "cores", lambda row: row["entitled"],
    limit_label="its part of the weights (read from the kernel)",
)  # fmt: skip
MEMORY = Dial(
    "memory charged", "MiB", (32, 48, 64),
    lambda mib: {"mem_limit": int(mib) * MiB, "memswap_limit": 2 * int(mib) * MiB},
    "memory", lambda row: row["memory_limit"], MiB, ("memory",),
)  # fmt: skip


def moved(
    experiment: Experiment, dial: Dial, values: Sequence[float] = (), *, seconds: float = 1.0, every: float = 0.1,
    engine: str | Any = "minidock",
) -> list[Row]:  # fmt: skip
    """The rows of a run in which the first load's limit goes through `values` (default: the dial's), `seconds` each.

    Each row has ``asked``, the value that was asked for. Saved under the experiment's name. Raises what the engine raises.
    """
    watched = replace(experiment, sample=dial.sample, seconds=every, windows=max(1, round(seconds / every)), fresh=False)
    rows: list[Row] = []
    with running(watched, engine=engine) as bench:
        bench.start()
        for value in values or dial.values:
            bench.containers[watched.loads[0].name].update(**dial.change(value))
            rows += [{**row, "asked": value} for row in bench.round()]
    measure.save(f"{experiment.name}-moved", rows, dial=dial.label, unit=dial.unit)
    return rows


def picture(rows: Sequence[Row], dial: Dial, title: str) -> Picture:
    """What was counted over time, and the limit as the kernel held it."""
    unit = dial.unit if dial.unit != "shares" else "cores"
    return plots_experiment.over_time(
        rows, dial.key, title=title, label=f"{dial.label} ({unit})", limit=dial.limit, limit_label=dial.limit_label,
        scale=dial.scale,
    )  # fmt: skip


def follow(
    experiment: Experiment, dial: Dial, values: Sequence[float] = (), *, title: str, seconds: float = 1.0,
    engine: str | Any = "minidock", minutes: float = 3.0,
) -> list[Row]:  # fmt: skip
    """Show the static run, and in a live notebook the slider with its own run of `minutes`; returns the static run's rows."""
    rows = moved(experiment, dial, values, seconds=seconds, engine=engine)
    static = picture(rows, dial, title)
    widgets.show(static, lambda: Follower(experiment, dial, values or dial.values, engine, minutes).widget())
    return rows


class Follower:
    """A running experiment under a slider. `stop` ends it and removes its containers; after `minutes` it is over by itself.

    The slider's positions are `values`, in order of size; the first of `values` is where it starts.
    """

    def __init__(self, experiment: Experiment, dial: Dial, values: Sequence[float], engine: str | Any, minutes: float) -> None:
        self.experiment = replace(experiment, sample=dial.sample, seconds=0.4, windows=1, fresh=False)
        self.dial, self.values, self.asked = dial, sorted(set(values)), values[0]
        self.rows: list[Row] = []
        self.counted = threading.Event()  # set after each window
        self._engine, self._seconds = engine, minutes * 60
        self._undo = ExitStack()
        self._stopping = threading.Event()

    def start(self, draw: Callable[[], None] = lambda: None) -> None:
        """Start the containers and the counting; `draw` is called, in the counting thread, after each window and at the end."""
        with ExitStack() as undo:
            self._bench: Bench = undo.enter_context(running(self.experiment, engine=self._engine))
            self._bench.start()
            self.move(self.asked)
            counting = threading.Thread(target=self._count, args=(draw,), name="minidock-live", daemon=True)
            undo.callback(counting.join)
            undo.callback(self._stopping.set)
            counting.start()
            atexit.register(self.stop)  # a notebook's kernel that is shut down takes its containers along
            undo.callback(atexit.unregister, self.stop)
            undo.callback(_before_the_next_cell(self.stop))
            self._undo = undo.pop_all()

    def move(self, value: float) -> None:
        """Set the first load's limit, now."""
        self._bench.containers[self.experiment.loads[0].name].update(**self.dial.change(value))
        self.asked = value

    def stop(self) -> None:
        """End the counting and remove the containers. Repeatable. Call it from the thread that called `start`."""
        self._undo.close()

    @property
    def ended(self) -> bool:
        """Whether the counting is over: stopped, out of time, or all loads have ended."""
        return self._stopping.is_set()

    def picture(self, last: float = 15.0) -> Picture:
        """The `last` seconds."""
        now = self.rows[-1]["t"]
        title = f"{self.experiment.loads[0].name}: {self.asked:g} {self.dial.unit}{' (ended)' if self.ended else ''}"
        return picture([r for r in self.rows if r["t"] > now - last], self.dial, title)

    def widget(self) -> Any:
        """The slider, the button and the picture, running. Needs the notebook's event loop, which draws."""
        import ipywidgets

        loop, waiting, image = asyncio.get_event_loop(), threading.Event(), ipywidgets.Image(format="png")
        slider = ipywidgets.SelectionSlider(
            options=[(f"{v:g}", v) for v in self.values], value=self.asked, description=self.dial.unit, continuous_update=False
        )
        button, said = ipywidgets.Button(description="stop"), ipywidgets.Label()

        def redraw() -> None:
            waiting.clear()
            if self.ended:
                slider.disabled = button.disabled = True
                said.value = "ended, its containers are gone; run the cell again to start anew"
                self.stop()
            if self.rows:
                image.value = self.picture().png

        def draw() -> None:  # called in the counting thread; a redraw that waits already will show this window, too
            if not waiting.is_set() and not loop.is_closed():
                waiting.set()
                loop.call_soon_threadsafe(redraw)

        slider.observe(lambda change: self.move(change["new"]), names="value")
        button.on_click(lambda _button: self.stop())
        self.start(draw)
        return ipywidgets.VBox([ipywidgets.HBox([slider, button, said]), image])

    def _count(self, draw: Callable[[], None]) -> None:
        """The thread: window after window, until it is stopped, its time is up or the loads have ended."""
        until = time.monotonic() + self._seconds
        try:
            while not self.ended and time.monotonic() < until and (rows := self._bench.round()):
                self.rows += rows
                self.counted.set()
                draw()
        finally:
            self._stopping.set()
            draw()


def _before_the_next_cell(end: Callable[[], object]) -> Callable[[], None]:
    """Have `end` called when another cell is about to run; returns what takes that back. Nothing where no notebook is."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return lambda: None

    def another_cell(_info: object) -> None:
        end()

    shell.events.register("pre_run_cell", another_cell)
    return lambda: shell.events.unregister("pre_run_cell", another_cell)

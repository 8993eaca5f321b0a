"""Move a limit of a *running* container and watch what it does.

``follow(experiment, CPU)`` first measures the static way: it moves the limit through a list of values, a few seconds each,
and draws all that was counted with the limit as the kernel held it. In a live notebook a slider and a picture come below: the
slider calls ``container.update``, as ``docker update`` does, and the picture follows until *stop*, or until its time is up.

::

    the kernel's main thread     slider ── container.update(…)          redraw ──> the picture
                                                                          ▲
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
    that shows the effect, `limit` what the kernel holds, both divided by `scale` for the axis `label`.
    """

    label: str
    unit: str
    values: tuple[float, ...]
    change: Callable[[float], Mapping[str, Any]]
    key: str
    limit: Callable[[Row], float | None]
    scale: float = 1.0
    sample: tuple[str, ...] = ("cpu",)


def _quota(row: Row) -> float | None:
    return row["quota_us"] / row["period_us"] if row.get("quota_us") else None


CPU = Dial(
    "CPU used", "cores", (1.0, 0.5, 0.25, 0.75),
    lambda cores: {"cpu_period": 100_000, "cpu_quota": round(cores * 100_000)}, "cores", _quota,
)  # fmt: skip
SHARES = Dial(
    "CPU used", "shares", (1024, 512, 256, 2048),
    lambda shares: {"cpu_shares": int(shares)}, "cores", lambda row: row["entitled"],
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
        rows, dial.key, title=title, label=f"{dial.label} ({unit})", limit=dial.limit, scale=dial.scale
    )


def follow(
    experiment: Experiment, dial: Dial, values: Sequence[float] = (), *, title: str, seconds: float = 1.0,
    engine: str | Any = "minidock", minutes: float = 3.0,
) -> list[Row]:  # fmt: skip
    """Show the static run, and in a live notebook the slider with its own run of `minutes`; returns the static run's rows."""
    rows = moved(experiment, dial, values, seconds=seconds, engine=engine)
    static = picture(rows, dial, title)
    widgets.show(static, lambda: Follower(experiment, dial, values or dial.values, title, engine, minutes).widget())
    return rows


class Follower:
    """A running experiment under a slider. `stop` ends it and removes its containers; after `minutes` it is over by itself."""

    def __init__(
        self, experiment: Experiment, dial: Dial, values: Sequence[float], title: str, engine: str | Any, minutes: float
    ) -> None:
        self.experiment = replace(experiment, sample=dial.sample, seconds=0.25, windows=1, fresh=False)
        self.dial, self.values, self.title = dial, list(values), title
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
            self.move(self.values[0])
            counting = threading.Thread(target=self._count, args=(draw,), name="minidock-live", daemon=True)
            undo.callback(counting.join)
            undo.callback(self._stopping.set)
            counting.start()
            atexit.register(self.stop)  # a notebook's kernel that is shut down takes its containers along
            undo.callback(atexit.unregister, self.stop)
            self._undo = undo.pop_all()

    def move(self, value: float) -> None:
        """Set the first load's limit, now."""
        self._bench.containers[self.experiment.loads[0].name].update(**self.dial.change(value))

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
        return picture([r for r in self.rows if r["t"] > now - last], self.dial, self.title)

    def widget(self) -> Any:
        """The slider, the button and the picture, running. Needs the notebook's event loop, which draws."""
        import ipywidgets

        loop, image = asyncio.get_event_loop(), ipywidgets.Image(format="png")
        slider = ipywidgets.SelectionSlider(options=self.values, description=self.dial.unit, continuous_update=False)
        button = ipywidgets.Button(description="stop")

        def redraw() -> None:
            if self.ended:
                slider.disabled = button.disabled = True
                self.stop()
            if self.rows:
                image.value = self.picture().png

        def draw() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(redraw)

        slider.observe(lambda change: self.move(change["new"]), names="value")
        button.on_click(lambda _button: self.stop())
        self.start(draw)
        return ipywidgets.VBox([ipywidgets.HBox([slider, button]), image])

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

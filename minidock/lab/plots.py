"""The lab's one style of figure: one message, said in the title; axes with units; the expected value as a line.

The palette is Okabe and Ito's (2008), told apart with every common form of colour blindness and in grey; what matters is
never said by colour alone. A function returns a `Picture`, which a notebook shows as a PNG with an alternative text: the
numbers, for whoever does not see the figure. Nothing here measures; every function draws the rows it is given.
"""

from __future__ import annotations

import io
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PINK, YELLOW, BLACK, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#000000", "#777777"
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW, BLACK)

WIDTH = 8.0  # inches: at 100 dpi the width of a notebook's text column
DPI = 100
_STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": f"cycler('color', {list(PALETTE)})",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
}


class Picture:
    """A finished figure: shown as a PNG of at most 256 colours (small files), with `alt` for those who read it as text."""

    def __init__(self, figure: Figure, alt: str) -> None:
        self.figure = figure
        self.alt = alt
        with matplotlib.rc_context(_STYLE):
            self.png = _png(figure)

    def save(self, path: str | Path) -> None:
        """Write the PNG to `path`."""
        Path(path).write_bytes(self.png)

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, object], dict[str, object]]:
        return {"image/png": self.png, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


@contextmanager
def axes(title: str, *, height: float = 3.2, columns: int = 1, width: float = WIDTH) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure in the lab's style with `columns` panels; the title is its one message."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), dpi=DPI)
        panels = [figure.add_subplot(1, columns, i + 1) for i in range(columns)]
        if columns == 1:
            panels[0].set_title(title)
        else:
            figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
        yield figure, panels


def legend(figure: Figure) -> None:
    """The legend of everything in `figure` that has a label, below the axes: there it hides nothing."""
    handles, labels = [], []
    for ax in figure.axes:
        found = ax.get_legend_handles_labels()
        handles += found[0]
        labels += found[1]
    if not labels:
        return
    letters = figure.get_figwidth() * 15.5  # in a line; a handle and the gaps take eight
    columns = len(labels)
    if sum(map(len, labels)) + 8 * columns > letters:
        columns = max(1, int(letters / (max(map(len, labels)) + 8)))
    below = figure.legend(handles, labels, loc="outside lower center", ncols=columns, columnspacing=1.2, fontsize=9)
    for handle in below.legend_handles:
        if isinstance(handle, Line2D) and handle.get_markersize() > 9:
            handle.set_markersize(9)


def room(ax: Axes, values: Sequence[float], share: float = 0.08) -> None:
    """End the value axis so far beyond the largest of `values` that no mark or number at it is cut."""
    left, right = ax.get_xlim()
    reach = max(values, default=right)
    ax.set_xlim(left, reach * (right / left) ** share if ax.get_xscale() == "log" else reach + share * (reach - left))


HALO: Any = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.8}  # behind a number that a line may cross


def short(value: float) -> str:
    """A number as a reader wants it beside a bar: three digits, but no powers of ten ("1330", "0.926")."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def bars(
    values: Mapping[str, float],
    *,
    title: str,
    label: str,
    predictions: Mapping[str, float] | None = None,
    claims: Mapping[str, float] | None = None,
    spread: Mapping[str, Sequence[float]] | None = None,
    line: tuple[float, str] | None = None,
    log: bool = False,
) -> Picture:
    """Horizontal bars of measured `values`, with prediction (◆), the text's claim (▼) and every sample (dots) upon them.

    `label` is the value axis with its unit ("time (ms)"). `spread` holds each bar's samples. `line` is (value, what it is):
    the expected value, drawn across.
    """
    names = list(values)
    with axes(title, height=1.15 + 0.36 * len(names)) as (figure, (ax,)):
        rows = range(len(names))
        ax.barh(rows, [values[n] for n in names], color=SKY, edgecolor=BLUE, height=0.62, label="measured (median)")
        for i, n in enumerate(names):
            if spread and n in spread:
                ax.plot(spread[n], [i] * len(spread[n]), ".", color=BLACK, alpha=0.35, markersize=4, zorder=3)
        reach = max([*values.values(), *(max(s) for s in (spread or {}).values())])
        for i, n in enumerate(names):
            right = max([values[n], *(spread or {}).get(n, [])])
            ax.text(right + reach * 0.015 if not log else right * 1.08, i, short(values[n]), va="center", color=BLUE, bbox=HALO)
        _marks(ax, names, predictions, "D", ORANGE, "predicted")
        _marks(ax, names, claims, "v", PINK, "the text's claim", up=0.31)
        if line:
            ax.axvline(line[0], color=RED, linestyle="--", linewidth=1.2, label=line[1])
        if log:
            ax.set_xscale("log")
        marked = [*(predictions or {}).values(), *(claims or {}).values(), *([line[0]] if line else [])]
        room(ax, [reach, *marked])
        ax.set_yticks(list(rows), names)
        ax.invert_yaxis()
        ax.set_xlabel(label)
        legend(figure)
    told = "; ".join(f"{n} {short(values[n])}" for n in names)
    return Picture(figure, f"{title}. {label}: {told}")


def _marks(ax: Axes, names: list[str], marks: Mapping[str, float] | None, marker: str, colour: str, label: str,
           up: float = 0.0) -> None:  # fmt: skip
    """The marks of one kind, on their bars or `up` (in bars) above the middle, so that two of one value are both seen."""
    at = [(marks[n], i - up) for i, n in enumerate(names) if n in marks] if marks else []
    if at:
        ax.plot(*zip(*at, strict=True), marker, color=colour, markeredgecolor=BLACK, markersize=8, zorder=4, label=label)


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    xlabel: str,
    ylabel: str,
    expected: tuple[float, str] | None = None,
    log: bool = False,
) -> Picture:
    """One line with markers for each series of (x, y); `expected` is (y, what it is), drawn across as a dashed line."""
    with axes(title, height=3.4) as (figure, (ax,)):
        for (name, points), marker in zip(series.items(), "osD^vP*", strict=False):
            size = 6 if len(points) <= 25 else 2.5
            ax.plot([x for x, _ in points], [y for _, y in points], marker=marker, markersize=size, label=name)
        if expected:
            ax.axhline(expected[0], color=RED, linestyle="--", linewidth=1.2, label=expected[1])
        if log:
            ax.set_yscale("log")
        else:
            ax.set_ylim(bottom=0)
        ax.set_xlabel(xlabel)
        ax.set_ylabel(ylabel)
        legend(figure)
    told = "; ".join(f"{n}: {', '.join(f'{x:g}→{short(y)}' for x, y in p)}" for n, p in series.items())
    return Picture(figure, f"{title}. {ylabel} against {xlabel}: {told}")


def prediction(predicted: float, measured: Sequence[float], *, claim: float | None = None, title: str, label: str) -> Picture:
    """Prediction, the text's claim (if it makes one) and the measurement, as three rows of one axis."""
    with axes(title, height=2.0) as (figure, (ax,)):
        middle = statistics.median(measured)
        ax.plot(measured, [0] * len(measured), "o", color=BLUE, alpha=0.4)
        ax.plot([middle], [0], "|", color=BLUE, markersize=24, markeredgewidth=3)
        ax.plot([predicted], [1], "D", color=ORANGE, markeredgecolor=BLACK, markersize=9)
        names = ["measured", "predicted"]
        if claim is not None:
            ax.plot([claim], [2], "v", color=PINK, markeredgecolor=BLACK, markersize=10)
            names.append("the text's claim")
        for i, value in enumerate([middle, predicted, *([claim] if claim is not None else [])]):
            ax.annotate(short(value), (value, i), xytext=(0, 13), textcoords="offset points", ha="center", va="center")
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(-0.6, len(names) - 0.25)
        ax.set_xlim(left=0)
        room(ax, [*measured, predicted, claim or 0.0])
        ax.set_xlabel(label)
        ax.grid(axis="x", alpha=0.3)
    told = f"predicted {short(predicted)}, measured {short(middle)}" + (
        f", claimed {short(claim)}" if claim is not None else ""
    )
    return Picture(figure, f"{title}. {label}: {told}")


def _png(figure: Figure) -> bytes:
    """The figure as a PNG with a palette: a third of the size, so that a notebook with eight figures stays small."""
    from PIL import Image

    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=DPI)
    raw.seek(0)
    small = io.BytesIO()
    Image.open(raw).convert("RGB").quantize(64).save(small, format="PNG", optimize=True)
    return small.getvalue()

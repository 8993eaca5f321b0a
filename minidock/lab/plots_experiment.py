"""Figures of an experiment's rows, in the style of `plots`: over time with the limit, against a promise, before and after.

Each function draws rows (see `minidock.lab.experiment`) or samples that were taken, and measures nothing. Loads are told apart
by colour *and* line style or marker; a limit is always the dashed red line, a promise the grey band.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from matplotlib.axes import Axes

from minidock.lab import counters, verdicts
from minidock.lab.measure import Row
from minidock.lab.plots import BLACK, BLUE, GREY, HALO, ORANGE, PALETTE, PINK, RED, Picture, axes, legend, room, short
from minidock.lab.verdicts import Promise

Limit = str | Callable[[Row], float | None]
_STYLES = ("-", "--", "-.", ":")
_MARKERS = "osD^vP*"


def over_time(
    rows: Iterable[Row],
    key: str,
    *,
    title: str,
    label: str,
    limit: Limit | None = None,
    limit_label: str = "the limit (read from the kernel)",
    scale: float = 1.0,
    log: bool = False,
) -> Picture:
    """`key` of each load (and engine) over time, with the limit as the kernel held it in each window.

    A counter that grows is drawn as a rate (its growth ÷ the window's length), a level as it is; both divided by `scale`
    (1 << 20 for MiB). `limit` is a row's key ("memory_limit") or a function of the row; it may change on the way. A load's end
    is a cross, with its exit code.
    """
    series = _series(list(rows))
    told = []
    with axes(title, height=3.6) as (figure, (ax,)):
        for i, (name, of_load) in enumerate(series.items()):
            living = [r for r in of_load if not r.get("ended")]
            x, y = [r["t"] for r in living], [_value(r, key) / scale for r in living]
            colour = PALETTE[i % len(PALETTE)]
            ax.plot(x, y, _STYLES[i % 4], color=colour, marker=_MARKERS[i % 7], markersize=3, label=name)
            end = _mark_end(ax, of_load, y[-1] if y else 0.0, colour)
            told.append(f"{name}: {short(y[0])} → {short(y[-1])}, at most {short(max(y))}{end}" if y else f"{name}:{end}")
        bounds = _draw_limit(ax, series, limit, limit_label, scale)
        told += [f"limit {short(b)}" for b in bounds]
        if log:
            ax.set_yscale("log")
        else:
            ax.set_ylim(bottom=0)
        ax.set_xlabel("time (s)")
        ax.set_ylabel(label)
        ax.grid(axis="y", alpha=0.3)
        legend(figure)
    return Picture(figure, f"{title}. {label} over time: {'; '.join(told)}")


def against(
    samples: Mapping[str, Sequence[float]],
    promise: Promise,
    *,
    title: str,
    label: str,
    expected: float | None = None,
) -> Picture:
    """Rounds of one or more runs against what was promised: every sample a dot, the 99 % interval of the mean a bar.

    `samples` maps a run ("minidock", "docker", "without the limit") to its numbers (`Result.samples`). The promised range is
    the grey band, `expected` (default: the band's middle) the dashed line.
    """
    names, told = list(samples), []
    bounded = [b for b in (promise.low, promise.high) if abs(b) != float("inf")]
    middle = expected if expected is not None else statistics.fmean(bounded)
    meaning = "expected"
    if expected is None and len(bounded) == 1:
        meaning = "at least" if bounded[0] == promise.low else "at most"
    with axes(title, height=1.55 + 0.42 * len(names)) as (figure, (ax,)):
        everything = [*bounded, *(v for s in samples.values() for v in s)]
        low, high = min(everything), max(everything)
        room = (high - low or abs(high) or 1.0) * 0.12
        ax.set_xlim(low - room, high + room)
        ax.axvspan(max(promise.low, low - room), min(promise.high, high + room), color=GREY, alpha=0.18, label="promised")
        ax.axvline(middle, color=RED, linestyle="--", linewidth=1.2, label=f"{meaning}: {short(middle)}")
        for i, (name, taken) in enumerate(samples.items()):
            mean, outcome = statistics.fmean(taken), verdicts.decide(taken, promise)
            left, right = verdicts.interval(taken)
            if len(taken) > 1:
                ax.plot([left, right], [i, i], color=BLUE, linewidth=6, alpha=0.35, solid_capstyle="butt", zorder=2)
            ax.plot(taken, [i] * len(taken), ".", color=BLACK, alpha=0.45, markersize=5, zorder=3)
            ax.plot([mean], [i], "|", color=BLUE, markersize=16, markeredgewidth=2.5, zorder=4)
            ax.annotate(f"{short(mean)}  {outcome}", (mean, i), xytext=(0, 9), textcoords="offset points", ha="center",
                        fontsize=9, bbox=HALO)  # fmt: skip
            told.append(f"{name} {short(mean)} ({len(taken)} rounds, {outcome})")
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.75)
        ax.set_xlabel(label)
        legend(figure)
    return Picture(figure, f"{title}. {label}, promised {promise.text}: {'; '.join(told)}")


def before_after(
    before: Mapping[str, float],
    after: Mapping[str, float],
    *,
    title: str,
    label: str,
    names: tuple[str, str] = ("without the limit", "with it"),
    expected: Mapping[str, float] | None = None,
) -> Picture:
    """An arrow for each load from what it was to what it is; `expected` marks where the arrow should end."""
    rows = list(before)
    reach = max([*before.values(), *after.values(), *(expected or {}).values()])
    with axes(title, height=1.45 + 0.45 * len(rows)) as (figure, (ax,)):
        for i, name in enumerate(rows):
            ax.annotate("", (after[name], i), (before[name], i), arrowprops={"arrowstyle": "->", "color": GREY, "lw": 1.5})
            for value, beside in ((before[name], after[name]), (after[name], before[name])):
                away = 12 if value >= beside else -12
                ax.annotate(short(value), (value, i), xytext=(away, 0), textcoords="offset points", fontsize=9, va="center",
                            ha="left" if away > 0 else "right", bbox=HALO)  # fmt: skip
        heights = range(len(rows))
        ax.plot([before[n] for n in rows], heights, "o", color=ORANGE, markeredgecolor=BLACK, markersize=8, label=names[0])
        ax.plot([after[n] for n in rows], heights, "s", color=BLUE, markeredgecolor=BLACK, markersize=8, label=names[1])
        at = [(expected[n], i) for i, n in enumerate(rows) if n in expected] if expected else []
        if at:
            ax.plot(*zip(*at, strict=True), "|", color=RED, markersize=24, markeredgewidth=2.5, label="expected", zorder=1)
        ax.set_yticks(list(heights), rows)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlim(-0.08 * reach, 1.12 * reach)
        ax.set_xlabel(label)
        legend(figure)
    told = "; ".join(f"{n} {short(before[n])} → {short(after[n])}" for n in rows)
    return Picture(figure, f"{title}. {label}, {names[0]} → {names[1]}: {told}")


def comparison(
    measured: Mapping[str, Sequence[float]],
    *,
    title: str,
    label: str,
    predicted: float | None = None,
    claim: float | None = None,
    expected: tuple[float, str] | None = None,
) -> Picture:
    """Your prediction (◆), the text's claim (▼) and what was measured (one row for each engine or case) on one axis.

    `expected` is (value, what it is): what follows from the limits that the kernel holds.
    """
    fixed = [("predicted", predicted, "D", ORANGE), ("the text's claim", claim, "v", PINK)]
    said = [(name, value, marker, colour) for name, value, marker, colour in fixed if value is not None]
    names = [*measured, *(name for name, *_ in said)]
    with axes(title, height=1.2 + 0.25 * bool(expected) + 0.45 * len(names)) as (figure, (ax,)):
        for i, taken in enumerate(measured.values()):
            ax.plot(taken, [i] * len(taken), "o", color=BLUE, alpha=0.35, markersize=5)
            ax.plot([statistics.median(taken)], [i], "|", color=BLUE, markersize=20, markeredgewidth=3)
        middles = [statistics.median(taken) for taken in measured.values()]
        for i, (_, value, marker, colour) in enumerate(said, start=len(measured)):
            ax.plot([value], [i], marker, color=colour, markeredgecolor=BLACK, markersize=9)
        values = [*middles, *(value for _, value, *_ in said)]
        for i, value in enumerate(values):
            ax.annotate(
                short(value), (value, i), xytext=(0, 15), textcoords="offset points", ha="center", va="center", fontsize=9,
                bbox=HALO,
            )  # fmt: skip
        if expected:
            ax.axvline(expected[0], color=RED, linestyle="--", linewidth=1.2, label=f"{expected[1]}: {short(expected[0])}")
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.5, -0.75)
        everything = [*values, *(v for taken in measured.values() for v in taken), *(expected[:1] if expected else ())]
        ax.set_xlim(left=min(0.0, *everything))
        room(ax, everything)
        legend(figure)
        ax.set_xlabel(label)
        ax.grid(axis="x", alpha=0.3)
    told = "; ".join(f"{n} {short(v)}" for n, v in zip(names, values, strict=True))
    return Picture(figure, f"{title}. {label}: {told}{f'; {expected[1]} {short(expected[0])}' if expected else ''}")


def _series(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows by load; by load and engine where there are several engines."""
    engines = {r["engine"] for r in rows}
    found: dict[str, list[Row]] = {}
    for row in rows:
        name = str(row["load"]) if len(engines) == 1 else f"{row['load']} ({row['engine']})"
        found.setdefault(name, []).append(row)
    return found


def _value(row: Row, key: str) -> float:
    return float(row[key]) / row["seconds"] if key in counters.GROWING else float(row[key])


def _mark_end(ax: Axes, rows: list[Row], height: float, colour: str) -> str:
    """A cross where the load ended; what the alternative text says of it."""
    last = rows[-1]
    if not last.get("ended"):
        return ""
    said = f"ended with {last['exit_code']}{' (OOM)' if last['oom_killed'] else ''}"
    ax.plot([last["t"]], [height], "X", color=colour, markeredgecolor=BLACK, markersize=9, zorder=5)
    ax.annotate(said, (last["t"], height), xytext=(-6, -12), textcoords="offset points", fontsize=9, ha="right")
    return f", {said}"


def _draw_limit(ax: Axes, series: Mapping[str, list[Row]], limit: Limit | None, label: str, scale: float) -> list[float]:
    """The limit of each load as steps over time; equal ones are drawn once. Returns its values, in order."""
    if limit is None:
        return []
    find = limit if callable(limit) else lambda row: row.get(limit)
    drawn: list[list[tuple[float, float]]] = []
    for rows in series.values():
        points = []
        for row in rows:
            value = None if row.get("ended") else find(row)
            if value is not None:
                points += [(row["t"] - row["seconds"], value / scale), (row["t"], value / scale)]
        if points and [y for _, y in points] not in [[y for _, y in d] for d in drawn]:
            ax.plot(*zip(*points, strict=True), "--", color=RED, linewidth=1.3, label=None if drawn else label)
            drawn.append(points)
    return list(dict.fromkeys(y for points in drawn for _, y in points))

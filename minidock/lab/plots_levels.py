"""Figures of levels: how much there is of something over time, or in several cases, beside the limit that holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from minidock.lab.measure import Row
from minidock.lab.plots import BLACK, BLUE, GREEN, GREY, HALO, ORANGE, PINK, RED, SKY, YELLOW, Picture, axes, short

MIB = float(1 << 20)
_DASHES = ("--", ":", "-.")


def curves(
    rows: Sequence[Row],
    keys: Mapping[str, str],
    *,
    title: str,
    limits: Mapping[str, float] | None = None,
    events: Mapping[str, float] | None = None,
    unit: float = MIB,
    ylabel: str = "MiB",
) -> Picture:
    """The counters `keys` (key of a row → what it is called) over ``t``; `limits` (name → value) as lines across.

    `events` (what happened → second) are upright lines. Values and limits are divided by `unit`, whose name is `ylabel`.
    """
    with axes(title, height=3.4) as (figure, (ax,)):
        for (key, name), colour, width in zip(keys.items(), (BLUE, ORANGE, GREEN, PINK), (4.5, 3, 1.8, 1.2), strict=False):
            points = [(r["t"], r[key] / unit) for r in rows if key in r]
            ax.plot(*zip(*points, strict=True), color=colour, linewidth=width, label=name)  # one upon another: both are seen
        for (name, value), dash in zip((limits or {}).items(), _DASHES, strict=False):
            ax.axhline(value / unit, color=RED, linestyle=dash, linewidth=1.3, label=name)
        for name, second in (events or {}).items():
            ax.axvline(second, color=GREY, linestyle=":", linewidth=1.2)
            late = second > rows[-1]["t"] / 2  # its name goes where there is room
            ax.annotate(name, (second, 0.6), xycoords=("data", "axes fraction"), xytext=(-4 if late else 4, 0), fontsize=9,
                        textcoords="offset points", ha="right" if late else "left", color=BLACK, bbox=HALO)  # fmt: skip
        ax.set_ylim(bottom=0)
        ax.set_xlim(left=0)
        ax.set_xlabel("time (s)")
        ax.set_ylabel(ylabel)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    told = "; ".join(f"{n} from {short(rows[0][k] / unit)} to {short(rows[-1][k] / unit)}" for k, n in keys.items())
    bounds = "".join(f"; {n} at {short(v / unit)}" for n, v in (limits or {}).items())
    return Picture(figure, f"{title}. {ylabel} over {short(rows[-1]['t'])} s: {told}{bounds}")


def stacks(
    cases: Mapping[str, Mapping[str, float]],
    *,
    title: str,
    label: str,
    limits: Mapping[str, float] | None = None,
    notes: Mapping[str, str] | None = None,
    unit: float = MIB,
) -> Picture:
    """Horizontal bars made of parts (case → part → value), with `limits` as lines and a word of `notes` behind a bar."""
    parts = list(dict.fromkeys(p for values in cases.values() for p in values))
    with axes(title, height=1.0 + 0.36 * len(cases)) as (figure, (ax,)):
        ends = [0.0] * len(cases)
        for part, colour, hatch in zip(parts, (SKY, ORANGE, YELLOW, GREEN), ("", "///", "..", ""), strict=False):
            widths = [values.get(part, 0.0) / unit for values in cases.values()]
            ax.barh(range(len(cases)), widths, left=ends, color=colour, edgecolor=BLACK, hatch=hatch,
                    linewidth=0.6, height=0.62, label=part)  # fmt: skip
            ends = [e + w for e, w in zip(ends, widths, strict=True)]
        for (name, value), dash in zip((limits or {}).items(), _DASHES, strict=False):
            ax.axvline(value / unit, color=RED, linestyle=dash, linewidth=1.3, label=name)
        for row, (case, end) in enumerate(zip(cases, ends, strict=True)):
            ax.annotate((notes or {}).get(case, short(end)), (end, row), xytext=(5, 0), textcoords="offset points", va="center",
                        fontsize=9, color=BLUE, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
        ax.set_yticks(range(len(cases)), list(cases))
        ax.invert_yaxis()
        ax.margins(x=0.14)
        ax.set_xlim(left=0)
        ax.set_xlabel(label)
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    told = "; ".join(
        f"{case}: {', '.join(f'{part} {short(v / unit)}' for part, v in values.items())}"
        f"{' (' + notes[case] + ')' if notes and case in notes else ''}"
        for case, values in cases.items()
    )
    return Picture(figure, f"{title}. {label}: {told}")


def distributions(
    samples: Mapping[str, Sequence[tuple[float, float]]],
    *,
    title: str,
    label: str,
    marks: Mapping[str, float] | None = None,
) -> Picture:
    """Cumulative distributions: for each case (value, per cent of all that is at most this), on a logarithmic value axis.

    The upright axis is stretched towards 100 % (as log of what is left), since the rare slow ones are what is looked for.
    `marks` (name → value) are upright lines.
    """
    with axes(title, height=3.4) as (figure, (ax,)):
        for (name, points), colour, style in zip(
            samples.items(), (BLUE, ORANGE, GREEN, PINK), ("-", "--", "-.", ":"), strict=False
        ):
            shown = [(v, 100.0 - p) for v, p in points if p < 100.0]
            ax.step(*zip(*shown, strict=True), where="post", color=colour, linestyle=style, linewidth=2, label=name)
        for name, value in (marks or {}).items():
            ax.axvline(value, color=RED, linestyle="--", linewidth=1.2, label=name)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.invert_yaxis()
        ticks = (50.0, 10.0, 5.0, 1.0, 0.1)
        ax.set_yticks(ticks, [f"{100 - t:g} %" for t in ticks])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
        ax.set_xlabel(label)
        ax.set_ylabel("of all, at most this")
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=9)
    told = "; ".join(f"{n}: half at most {short(_at(p, 50))}, 99 % at most {short(_at(p, 99))}" for n, p in samples.items())
    return Picture(figure, f"{title}. {label}: {told}")


def _at(points: Sequence[tuple[float, float]], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed."""
    return next((v for v, p in points if p >= percent), points[-1][0])

"""The figures of chapter 04, from the rows it measured: what each controller lets through, a freezer over time, the weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from minidock.lab.measure import Row
from minidock.lab.plots import BLACK, BLUE, GREY, ORANGE, PINK, RED, SKY, Picture, axes, legend, short


def effects(
    rows: Sequence[Row],
    *,
    title: str,
    predictions: Mapping[str, float] | None = None,
    claims: Mapping[str, float] | None = None,
) -> Picture:
    """One line per controller: what got through without its rule (hollow) and with it (filled), per cent of what was asked.

    A row has ``controller``, ``what``, ``without`` and ``with`` (per cent), and ``expected``: what the value that the kernel
    holds amounts to. `predictions` and the text's `claims` are by ``what``.
    """
    with axes("", height=1.3 + 0.4 * len(rows)) as (figure, (ax,)):
        figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
        at = range(len(rows))
        for i, row in enumerate(rows):
            ax.plot([row["without"], row["with"]], [i, i], color=GREY, linewidth=2, alpha=0.5, zorder=1)
        free, held, meant = ([r[key] for r in rows] for key in ("without", "with", "expected"))
        ax.plot(free, at, "o", color="white", markeredgecolor=BLUE, markersize=9, label="without the rule")
        ax.plot(held, at, "o", color=BLUE, markersize=9, label="with it, measured")
        ax.plot(meant, at, "|", color=RED, markersize=20, markeredgewidth=2, label="what the value in the file means")
        for values, marker, colour, label, up in (
            (predictions, "D", ORANGE, "predicted", 0.0),
            (claims, "v", PINK, "the text's claim", 0.33),
        ):
            told = [(values[r["what"]], i - up) for i, r in enumerate(rows) if r["what"] in values] if values else []
            if told:
                ax.plot(*zip(*told, strict=True), marker, color=colour, markeredgecolor=BLACK, markersize=7, label=label)
        ax.set_yticks(list(at), [f"{r['controller']}: {r['what']}" for r in rows])
        ax.set_ylim(len(rows) - 0.5, -0.6)
        ax.set_xlim(-4, 109)
        ax.set_xlabel("got through, per cent of what was asked")
        ax.grid(axis="x", alpha=0.3)
        legend(figure)
    each = "; ".join(f"{r['controller']} {short(r['with'])} (without {short(r['without'])})" for r in rows)
    return Picture(figure, f"{title}. Per cent of what was asked that got through: {each}")


def window(series: Mapping[str, Sequence[tuple[float, float]]], during: tuple[float, float], *, title: str,
           xlabel: str, ylabel: str, held: str, line: tuple[float, str] | None = None) -> Picture:  # fmt: skip
    """Lines over time, with the stretch `during` shaded and named `held`; `line` is a limit across: (value, what it is)."""
    with axes(title, height=3.4) as (figure, (ax,)):
        ax.axvspan(*during, color=SKY, alpha=0.25, label=held)
        for (name, points), style in zip(series.items(), ("-", "--", ":"), strict=False):
            ax.plot([x for x, _ in points], [y for _, y in points], style, linewidth=2, label=name)
        if line:
            ax.axhline(line[0], color=RED, linestyle="--", linewidth=1.2, label=line[1])
        ax.set_ylim(bottom=0)
        ax.set_xlabel(xlabel)
        ax.set_ylabel(ylabel)
        legend(figure)
    ends = "; ".join(f"{name} ends at {short(points[-1][1])}" for name, points in series.items())
    return Picture(figure, f"{title}. {held} from {during[0]:.2g} to {during[1]:.2g}. {ylabel}: {ends}")


def weights(formulas: Mapping[str, Callable[[int], float]], *, title: str) -> Picture:
    """Shares (v1, 2 to 262144) against the weight that each formula makes of them (v2, 1 to 10000), and the ratio that is left
    of 1000:500, 2:1 on v1."""
    shares = [2**n for n in range(1, 19)]
    with axes(title, columns=2) as (figure, (left, right)):
        for (name, formula), style, colour in zip(formulas.items(), ("o-", "s--"), (BLUE, ORANGE), strict=False):
            left.plot(shares, [formula(s) for s in shares], style, color=colour, markersize=4, label=name)
        left.axvline(1024, color=GREY, linestyle=":", linewidth=1)
        left.axhline(100, color=GREY, linestyle=":", linewidth=1)
        left.annotate("1024 and 100,\nthe kernel's defaults", (1024, 100), xytext=(1700, 3), fontsize=8)
        left.set_xscale("log", base=2)
        left.set_yscale("log")
        left.set_xlabel("cpu.shares (v1)")
        left.set_ylabel("cpu.weight (v2)")
        left.legend(fontsize=8)
        ratios = {"v1: as asked": 2.0} | {name: formula(1000) / formula(500) for name, formula in formulas.items()}
        right.bar(range(len(ratios)), list(ratios.values()), color=(PINK, BLUE, ORANGE), width=0.6)
        for i, value in enumerate(ratios.values()):
            right.text(i, value + 0.04, f"{value:.2f}", ha="center")
        right.set_ylim(0, 1.12 * max(ratios.values()))
        right.axhline(2, color=RED, linestyle="--", linewidth=1.2)
        right.set_xticks(range(len(ratios)), [n.replace(" ", "\n", 1) for n in ratios], fontsize=8)
        right.set_ylabel("1000 shares : 500 shares")
    told = "; ".join(f"{n} keeps 1000:500 as {v:.2f}:1" for n, v in ratios.items())
    return Picture(figure, f"{title}. {told}")

"""Pictures of what has no axis: process trees from both sides, id maps, a folder tree, the steps of a trace.

In the style of `plots`, from plain data: the lines of `proctree.both_sides`, (container, host, size) triples, (path, meaning)
pairs, the steps of ``engine.trace()``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import ConnectionPatch, Polygon, Rectangle

from minidock.lab.plots import BLUE, GREEN, GREY, ORANGE, PALETTE, PINK, SKY, Picture, axes
from minidock.lab.proctree import Line


def process_trees(host: Sequence[Line], inside: Sequence[Line], *, title: str) -> Picture:
    """The same processes on the host (left) and in their containers (right), each pair joined by a line."""
    rows = max(len(host), len(inside))
    with axes(title, height=0.9 + 0.33 * rows, columns=2) as (figure, (left, right)):
        spaces = {s: PALETTE[i % 5] for i, s in enumerate(dict.fromkeys(x.process.namespace for x in inside))}
        at_left = _tree(left, host, "on the host (its own pids)", spaces, rows)
        at_right = _tree(right, inside, "inside (pids of the container)", spaces, rows)
        for pid, y in at_right.items():
            if pid in at_left:
                figure.add_artist(
                    ConnectionPatch(
                        (0.97, at_left[pid]),
                        (0.0, y),
                        "data",
                        "data",
                        axesA=left,
                        axesB=right,
                        color=GREY,
                        linewidth=0.8,
                        alpha=0.7,
                    )
                )
    told = " | ".join(f"{h.label.replace('  ', ' ')}" for h in host)
    inner = " | ".join(i.label.replace("  ", " ") for i in inside)
    return Picture(figure, f"{title}. Host: {told}. Inside: {inner}")


def _tree(ax: Axes, lines: Sequence[Line], heading: str, spaces: Mapping[str, str], rows: int) -> dict[int, float]:
    """Draw one tree, a line a process; returns each process's height."""
    ax.set_title(heading, fontsize=10, fontweight="normal")
    ax.set_xlim(0, 1)
    ax.set_ylim(-rows + 0.4, 0.6)
    ax.axis("off")
    heights: dict[int, float] = {}
    for i, line in enumerate(lines):
        colour = spaces.get(line.process.namespace, "#dddddd")
        x = 0.02 + 0.055 * line.depth
        if line.depth and line.process.ppid in heights:
            corner = x - 0.04
            ax.plot([corner, corner, x - 0.005], [heights[line.process.ppid] - 0.3, -i, -i], color=GREY, linewidth=0.9)
        name, _, number = line.label.rpartition("  ")
        ax.text(x, -i, f"{name} ", va="center", fontsize=9)
        ax.text(
            0.96, -i, number, va="center", ha="right", fontsize=9, family="monospace",
            bbox={"facecolor": colour, "alpha": 0.45, "edgecolor": "none", "boxstyle": "round,pad=0.25"},
        )  # fmt: skip
        heights[line.process.pid] = -i
    return heights


def id_map(maps: Sequence[tuple[int, int, int]], *, title: str, points: Sequence[tuple[int, str]] = ()) -> Picture:
    """Two rulers, ids inside and ids on the host, and the bands that ``/proc/PID/uid_map`` lays between them.

    `maps` are its lines (inside, host, size). `points` are (inside id, name) to follow across. The rulers are not to scale:
    ids of interest are spaced evenly.
    """
    edges_in = sorted({e for inside, _, size in maps for e in (inside, inside + size - 1)} | {i for i, _ in points})
    edges_out = sorted({e for _, host, size in maps for e in (host, host + size - 1)} | {0})
    place_in = {e: (i + 0.5) / len(edges_in) for i, e in enumerate(edges_in)}
    place_out = {e: (i + 0.5) / len(edges_out) for i, e in enumerate(edges_out)}
    with axes(title, height=2.5) as (figure, (ax,)):
        ax.axis("off")
        ax.set_xlim(-0.16, 1.02)
        ax.set_ylim(-0.45, 1.5)
        for y, places, name in ((1, place_in, "ids inside"), (0, place_out, "ids on the host")):
            ax.plot([0, 1], [y, y], color=GREY, linewidth=6, solid_capstyle="round")
            ax.text(-0.02, y, name, ha="right", va="center")
            for e, x in places.items():
                ax.plot([x], [y], "o", color="white", markeredgecolor=BLUE, zorder=4)
                ax.text(x, y + (0.16 if y else -0.16), str(e), ha="center", va="bottom" if y else "top", family="monospace")
        heights = [0.8 - 0.6 * i / max(len(maps) - 1, 1) for i in range(len(maps))]  # bands may cross, their labels not
        for (inside, host, size), colour, near in zip(maps, (SKY, ORANGE, GREEN, PINK), heights, strict=False):
            a, b, c, d = place_in[inside], place_in[inside + size - 1], place_out[host], place_out[host + size - 1]
            ax.add_patch(Polygon([(a, 1), (b, 1), (d, 0), (c, 0)], color=colour, alpha=0.45, zorder=1))
            across = (a + b) / 2 * near + (c + d) / 2 * (1 - near)
            ax.text(across, near, f"{size} id{'s' if size > 1 else ''}", ha="center", va="center", fontsize=9)
        for i, name in points:
            ax.text(place_in[i], 1.38, name, ha="center", va="bottom", fontsize=9)
    told = "; ".join(f"{i}…{i + n - 1} inside are {h}…{h + n - 1} on the host" for i, h, n in maps)
    return Picture(figure, f"{title}. {told}")


def folders(entries: Sequence[tuple[str, str]], *, title: str) -> Picture:
    """A folder tree with what each entry is for: (path, meaning), in order; depth is the number of slashes."""
    with axes(title, height=0.7 + 0.29 * len(entries)) as (figure, (ax,)):
        ax.axis("off")
        ax.set_xlim(0, 1)
        ax.set_ylim(-len(entries) + 0.3, 0.7)
        for i, (path, meaning) in enumerate(entries):
            inner = path.strip("/").count("/") if not path.startswith("=") else 0
            shown = path.lstrip("=") if path.startswith("=") else path.rstrip("/").rpartition("/")[2]
            folder = path.endswith("/")
            ax.text(0.02 + 0.035 * inner, -i, shown + ("/" if folder and not path.startswith("=") else ""), va="center",
                    family="monospace", fontsize=9, fontweight="bold" if folder else "normal")  # fmt: skip
            ax.text(0.47, -i, meaning, va="center", fontsize=9, color="#333333")
            if i % 2 == 0:
                ax.add_patch(Rectangle((0, -i - 0.5), 1, 1, color="#f2f5f7", zorder=0))
    return Picture(figure, f"{title}. " + "; ".join(f"{p.lstrip('=')}: {m}" for p, m in entries))


def timeline(steps: Sequence[tuple[str, str, float, float]], *, title: str) -> Picture:
    """Steps over time, a row a process: (process, name, start ms, duration ms). The longest are named where there is room."""
    rows = list(dict.fromkeys(s[0] for s in steps))
    named = _with_room(steps, max(start + duration for _, _, start, duration in steps) * 0.08)
    with axes(title, height=1.0 + 0.95 * len(rows)) as (figure, (ax,)):
        for process, _, start, duration in steps:
            y, colour = rows.index(process), PALETTE[rows.index(process) % len(PALETTE)]
            ax.barh(y, max(duration, 0.01), left=start, height=0.5, color=colour, alpha=0.75, edgecolor="white", linewidth=0.4)
        for process, name, start, duration in named:
            at = (start + duration / 2, rows.index(process) - 0.27)
            short = name if len(name) <= 22 else name[:20] + "…"  # a longer one would reach into the row above
            ax.annotate(short, at, rotation=20, fontsize=7.5, ha="left", va="bottom")
        ax.set_yticks(range(len(rows)), rows)
        ax.set_ylim(len(rows) - 0.5, -0.9)
        ax.set_xlabel("time since the first step (ms)")
    told = "; ".join(f"{p} {n} {d:.2f} ms" for p, n, _, d in named)
    return Picture(figure, f"{title}. Longest: {told}")


def _with_room(steps: Sequence[tuple[str, str, float, float]], room: float) -> list[tuple[str, str, float, float]]:
    """The longest steps, of which no two in one row are nearer than `room` milliseconds; at most nine."""
    chosen: list[tuple[str, str, float, float]] = []
    for step in sorted(steps, key=lambda s: -s[3]):
        middle = step[2] + step[3] / 2
        if len(chosen) < 9 and all(s[0] != step[0] or abs(s[2] + s[3] / 2 - middle) > room for s in chosen):
            chosen.append(step)
    return chosen

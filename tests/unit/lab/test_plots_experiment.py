"""Figures of an experiment: the limit is drawn, the numbers are told, nothing is said by colour alone."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from minidock.lab import live, plots, plots_experiment
from minidock.lab.measure import Row
from minidock.lab.plots import Picture
from minidock.lab.verdicts import Promise


def rows(engine: str = "minidock") -> list[Row]:
    taken: list[Row] = []
    for i in range(1, 9):
        about = {"engine": engine, "round": 0, "t": i * 0.5, "seconds": 0.5}
        limit = (64 if i < 5 else 32) << 20
        taken.append({**about, "load": "a", "memory": min(i * 10 << 20, limit), "memory_limit": limit, "write_bytes": 1 << 20})
        taken.append({**about, "load": "b", "memory": 5 << 20, "memory_limit": limit, "write_bytes": 2 << 20})
    return [*taken, {"engine": engine, "load": "a", "t": 4.5, "ended": True, "exit_code": 137, "oom_killed": True}]


def memory() -> Picture:
    return plots_experiment.over_time(
        rows(), "memory", title="It stops at the limit", label="memory (MiB)", limit="memory_limit", scale=1 << 20
    )


def against() -> Picture:
    runs = {"minidock": (1.99, 2.01, 2.0, 2.0), "docker": (2.0, 1.98, 2.01, 2.0), "without shares": (1.0, 1.01, 0.99, 1.0)}
    return plots_experiment.against(runs, Promise.near("2:1", 2.0, 0.05), title="Twice as much", label="CPU time (ratio)")


def one_sided() -> Picture:
    promise = Promise("at least", low=0.995)
    return plots_experiment.against({"pinned": (0.9999, 0.9998)}, promise, title="All on one core", label="share")


def before_after() -> Picture:
    return plots_experiment.before_after(
        {"a": 0.5, "b": 0.5}, {"a": 0.667, "b": 0.333}, title="Shares move it", label="cores", expected={"a": 2 / 3, "b": 1 / 3}
    )


def comparison() -> Picture:
    measured = {"minidock": (1.7, 1.71), "docker": (1.72, 1.71)}
    return plots_experiment.comparison(
        measured, title="Not 2 on v2", label="ratio", predicted=3, claim=2, expected=(1.707, "weights 99:58")
    )


EVERY: list[Callable[[], Picture]] = [memory, against, one_sided, before_after, comparison]


@pytest.mark.parametrize("draw", EVERY)
def test_every_picture(draw: Callable[[], Picture]) -> None:
    """Each picture of an experiment has its size, its unit, and stays small."""
    picture = draw()
    image = Image.open(io.BytesIO(picture.png))
    assert image.width == int(plots.WIDTH * plots.DPI)
    assert len(picture.png) < 40_000
    assert picture.figure.axes[0].get_xlabel(), "an axis has its unit"


def test_numbers_are_in_the_text_too() -> None:
    assert "a: 10 → 32, at most 40, ended with 137 (OOM)" in repr(memory())
    assert "limit 64; limit 32" in repr(memory())
    assert "minidock 2 (4 rounds, PASS)" in repr(against()) and "without shares 1 (4 rounds, FAIL)" in repr(against())
    assert "a 0.5 → 0.667" in repr(before_after())
    assert "minidock 1.71" in repr(comparison()) and "the text's claim 2" in repr(comparison())
    assert "weights 99:58 1.71" in repr(comparison())


def test_the_limit_is_drawn_as_it_was_held_and_once() -> None:
    (axis,) = memory().figure.axes
    dashed = [line for line in axis.get_lines() if line.get_color() == plots.RED]
    assert len(dashed) == 1, "the same limit of two loads is one line"
    assert list(dict.fromkeys(dashed[0].get_ydata())) == [64.0, 32.0]  # type: ignore[arg-type]


def test_what_grows_is_a_rate_and_engines_are_told_apart() -> None:
    both = [*rows()[:4], *rows("docker")[:4]]
    picture = plots_experiment.over_time(both, "write_bytes", title="Same", label="MiB/s", scale=1 << 20)
    assert "a (minidock): 2 → 2" in repr(picture) and "b (docker): 4 → 4" in repr(picture)


def test_promise_is_a_band_and_the_expected_value_a_line() -> None:
    labels = [text.get_text() for text in against().figure.legends[0].get_texts()]
    assert labels == ["promised", "expected: 2"]


def test_a_moved_limit_follows() -> None:
    held = [{"load": "a", "engine": "minidock", "t": float(i), "seconds": 1.0, "cores": q, "quota_us": q * 1e5,
             "period_us": 1e5} for i, q in enumerate((1.0, 0.5, 0.25), 1)]  # fmt: skip
    assert "limit 1; limit 0.5; limit 0.25" in repr(live.picture(held, live.CPU, "It follows"))


def test_no_dot_of_a_comparison_is_cut() -> None:
    picture = plots_experiment.comparison({"a": [1.9, 2.0, 2.4]}, title="T", label="l", predicted=2, expected=(2, "held"))
    assert picture.figure.axes[0].get_xlim()[1] > 2.5
    assert [t.get_text() for t in picture.figure.legends[0].get_texts()] == ["held: 2"]

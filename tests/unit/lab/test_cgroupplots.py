"""Chapter 04's figures and small conversions: the numbers are in the text that stands for the picture."""

from __future__ import annotations

import pytest

from minidock.lab import cgroupplots, hugepages
from minidock.libcontainer.cgroups import v2

ROWS = [
    {"controller": "pids", "what": "100 forks", "without": 100.0, "with": 19.0, "expected": 19.0},
    {"controller": "devices", "what": "opens", "without": 100.0, "with": 0.0, "expected": 0.0},
]


def test_effects() -> None:
    """The chapter's picture says in words what it shows, for those who cannot see it."""
    picture = cgroupplots.effects(ROWS, title="T", predictions={"100 forks": 20})
    assert picture.alt == "T. Per cent of what was asked that got through: pids 19 (without 100); devices 0 (without 100)"
    assert picture.png.startswith(b"\x89PNG") and len(picture.png) < 40_000
    assert [t.get_text() for t in picture.figure.axes[0].get_yticklabels()] == ["pids: 100 forks", "devices: opens"]


def test_window() -> None:
    """The window in which something was held is marked and named."""
    series = {"one": [(0.0, 1.0), (1.0, 5.0)], "two": [(0.0, 1.0), (1.0, 1.0)]}
    picture = cgroupplots.window(
        series, (0.2, 0.6), title="T", xlabel="time (s)", ylabel="count", held="frozen", line=(4, "max")
    )
    assert "frozen from 0.2 to 0.6" in picture.alt and "one ends at 5; two ends at 1" in picture.alt
    legend = picture.figure.legends[0]
    assert legend is not None
    assert {t.get_text() for t in legend.get_texts()} == {"frozen", "one", "two", "max"}


def test_weights() -> None:
    """The ratio that each formula keeps is written into the picture."""
    formulas = {"new": lambda s: int(v2.cpu_weight(s)), "old": lambda s: int(v2.cpu_weight_old(s))}
    picture = cgroupplots.weights(formulas, title="T")
    assert picture.alt == (
        "T. v1: as asked keeps 1000:500 as 2.00:1; new keeps 1000:500 as 1.71:1; old keeps 1000:500 as 2.05:1"
    )


@pytest.mark.parametrize(("size", "name"), [(2 << 20, "2MB"), (1 << 30, "1GB"), (64 << 10, "64KB"), (512 << 20, "512MB")])
def test_page_sizes_as_the_kernel_spells_them(size: int, name: str) -> None:
    assert hugepages.unit(size) == name


def test_no_page_size() -> None:
    with pytest.raises(ValueError, match="no page size"):
        hugepages.unit(12)

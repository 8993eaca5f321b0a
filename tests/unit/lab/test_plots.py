"""Figures: a PNG of a notebook's width, labelled axes, the expected value as a line, the numbers as text."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from minidock.lab import pictures, plots
from minidock.lab.plots import Picture
from minidock.lab.proctree import Line, Process


def bars() -> Picture:
    return plots.bars(
        {"none": 300.0, "net": 850.0}, title="One costs more", label="time (µs)",
        predictions={"net": 500}, claims={"none": 100}, spread={"net": [800.0, 900.0]}, line=(300.0, "plain fork"),
    )  # fmt: skip


def lines() -> Picture:
    return plots.lines({"a": [(1, 2.0), (2, 4.0)]}, title="It grows", xlabel="n", ylabel="time (ms)", expected=(3.0, "limit"))


def prediction() -> Picture:
    return plots.prediction(5, [3.0, 4.0, 5.0], claim=2, title="How far off", label="times")


def trees() -> Picture:
    host = [Process(1, 0, "init", (), "h"), Process(7, 1, "sh", (1,), "c"), Process(8, 7, "sleep", (2,), "c")]
    left = [Line(p, i, f"{p.name}  {p.pid}") for i, p in enumerate(host)]
    right = [Line(p, i, f"{p.name}  {p.inside}") for i, p in enumerate(host[1:])]
    return pictures.process_trees(left, right, title="Both sides")


def id_map() -> Picture:
    return pictures.id_map([(0, 100000, 65536)], title="Moved", points=[(0, "root")])


def folders() -> Picture:
    return pictures.folders([("ROOT/", "state"), ("ROOT/a.json", "a"), ("=/run/x", "r")], title="On disk")


def timeline() -> Picture:
    return pictures.timeline([("engine", "connect", 0.0, 1.0), ("init", "execve", 1.0, 0.5)], title="A run")


EVERY: list[Callable[[], Picture]] = [bars, lines, prediction, trees, id_map, folders, timeline]


@pytest.mark.parametrize("draw", EVERY)
def test_every_picture(draw: Callable[[], Picture]) -> None:
    """A picture has its size, stays small, and has a text for those who cannot see it."""
    picture = draw()
    image = Image.open(io.BytesIO(picture.png))
    assert image.format == "PNG"
    assert image.width == int(plots.WIDTH * plots.DPI)
    assert len(picture.png) < 40_000, "a notebook with ten figures stays below 300 KB"
    data, metadata = picture._repr_mimebundle_()
    assert data["text/plain"] == repr(picture) == metadata["image/png"]["alt"]  # type: ignore[index]
    assert any(axis.get_title(loc="left") or axis.get_title() for axis in picture.figure.axes) or picture.figure._suptitle  # type: ignore[attr-defined]


def test_numbers_are_in_the_text_too() -> None:
    assert "net 850" in repr(bars())
    assert "predicted 5, measured 4, claimed 2" in repr(prediction())
    assert "0…65535 inside are 100000…165535 on the host" in repr(id_map())
    assert "sleep 8" in repr(trees()) and "sleep 2" in repr(trees())


def test_axes_have_units_and_the_expected_value_is_a_line() -> None:
    figure = bars().figure
    axis = figure.axes[0]
    assert axis.get_xlabel() == "time (µs)"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"plain fork", "predicted", "the text's claim", "measured (median)"} == set(labels)
    axis = lines().figure.axes[0]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("n", "time (ms)")
    assert any(line.get_linestyle() == "--" for line in axis.get_lines())


def test_palette_is_told_apart_in_grey() -> None:
    """The first colours differ in lightness by more than a tenth from their neighbours."""

    def lightness(colour: str) -> float:
        r, g, b = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    pairs = zip(plots.PALETTE[:3], plots.PALETTE[1:4], strict=True)
    assert all(abs(lightness(a) - lightness(b)) > 0.05 for a, b in pairs)


def test_picture_is_saved(tmp_path: object) -> None:
    target = f"{tmp_path}/x.png"
    bars().save(target)
    with open(target, "rb") as file:
        assert file.read(4) == b"\x89PNG"


def test_no_mark_touches_the_edge_and_the_legend_hides_nothing() -> None:
    far = plots.bars({"a": 1.0}, title="T", label="l", predictions={"a": 10.0}, claims={"a": 1.0}, line=(1, "equal"))
    axis = far.figure.axes[0]
    assert axis.get_xlim()[1] > 10.5
    heights = {line.get_label(): line.get_ydata()[0] for line in axis.get_lines() if line.get_marker() in "Dv"}  # type: ignore[index]
    assert heights["predicted"] != heights["the text's claim"], "of one value, both are seen"
    below, axes = far.figure.legends[0].get_window_extent(), axis.get_window_extent()
    assert below.y1 < axes.y0 and below.x0 > 0 and below.x1 < far.figure.bbox.width


def test_a_long_legend_takes_more_than_one_line() -> None:
    names = {f"a series with rather a long name, number {n}": [(0.0, 1.0), (1.0, 2.0)] for n in range(4)}
    figure = plots.lines(names, title="T", xlabel="x", ylabel="y").figure
    extent = figure.legends[0].get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.width

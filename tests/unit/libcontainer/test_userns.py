"""Id maps as text and as arithmetic (user_namespaces(7))."""

from __future__ import annotations

import pytest

from minidock.libcontainer.config import IdMap
from minidock.libcontainer.userns import host_id, lines

MAPS = (IdMap(0, 100_000, 1000), IdMap(5000, 300_000, 10))


@pytest.mark.parametrize(
    ("inside", "outside"),
    [(0, 100_000), (999, 100_999), (1000, None), (4999, None), (5000, 300_000), (5009, 300_009), (5010, None), (-1, None)],
)
def test_the_id_behind_one_inside(inside: int, outside: int | None) -> None:
    assert host_id(MAPS, inside) == outside
    assert host_id((), inside) == inside, "without maps the ids are the same"


def test_the_kernels_lines() -> None:
    assert lines(MAPS) == "0 100000 1000\n5000 300000 10\n"

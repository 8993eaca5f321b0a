"""Every test here runs on every driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.graphdriver import GraphDriver
from minidock.graphdriver.scratch import Scratch
from minidock.graphdriver.select import DRIVERS


@pytest.fixture(params=sorted(DRIVERS))
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GraphDriver]:
    """A driver on an empty state directory, which is gone afterwards, the immutable and the bottomless in it too."""
    made = DRIVERS[request.param](tmp_path / request.param)
    yield made
    scratch = Scratch.of(tmp_path / "tmp")
    scratch.discard(str(tmp_path / request.param))
    scratch.close()

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.libcontainer.box import Box


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    b = Box(tmp_path)
    yield b
    b.close()

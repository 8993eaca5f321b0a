"""One instance for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.shim.instance import Instance


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance whose zygote runs before the first test looks for leaks."""
    made = Instance(tmp_path_factory.mktemp("instance"))
    made.container("true").run()
    yield made
    made.close()


@pytest.fixture
def own_instance(tmp_path: Path) -> Iterator[Instance]:
    """An instance for one test alone, which may kill its zygote."""
    made = Instance(tmp_path)
    yield made
    made.close()

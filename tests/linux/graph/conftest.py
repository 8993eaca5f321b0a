"""A state directory with an image store on it, for one test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from minidock.graph.store import ImageStore
from minidock.graphdriver.scratch import Scratch
from minidock.graphdriver.select import driver
from minidock.linkgraph import LinkGraph

Opener = Callable[[], ImageStore]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The state directory."""
    path = tmp_path / "root"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture(params=["overlay", "vfs"])
def open_store(request: pytest.FixtureRequest, root: Path) -> Iterator[Opener]:
    """Opens stores on the state directory, as several engines would; on both drivers."""
    with ExitStack() as stack:

        def open_one() -> ImageStore:
            links = LinkGraph(root / "linkgraph.db")
            stack.callback(links.close)
            return ImageStore(root, driver(root, request.param), links)

        yield open_one
        Scratch.of(root / "tmp").close()


@pytest.fixture
def store(open_store: Opener) -> ImageStore:
    """One store."""
    return open_store()

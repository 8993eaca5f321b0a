from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import v1, v2
from minidock.libcontainer.cgroups.hierarchy import hierarchies, unified
from tests.conftest import needs
from tests.linux.libcontainer.box import Box
from tests.linux.libcontainer.groups import PARENT, PATH, another, v2_tree


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    b = Box(tmp_path)
    yield b
    b.close()


@pytest.fixture(params=["v1", "v2"])
def manager(request: pytest.FixtureRequest) -> Iterator[cgroups.Manager]:
    """A manager of each version that this machine has mounted."""
    trees = hierarchies()
    tree = v2_tree()
    if request.param == "v1":
        if unified(trees):
            needs("cgroup-v1")
        made: cgroups.Manager = v1.Manager(PATH, trees)
    else:
        if tree is None:
            needs("cgroup-v2")
        assert tree
        made = v2.Manager(PATH, tree)
    yield made
    another(made, PARENT).kill()
    made.remove()
    cgroups.manager(PARENT).remove()
    if tree:
        v2.Manager(PARENT, tree).remove()

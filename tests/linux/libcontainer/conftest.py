from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import v1, v2
from minidock.libcontainer.cgroups.hierarchy import Hierarchy, hierarchies, unified
from tests.conftest import needs
from tests.linux.libcontainer.box import Box
from tests.linux.libcontainer.groups import PARENT, PATH, another, v2_tree


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of what the root of the unified tree hands down there is one on the machine: one test at a time puts it back."""
    for item in items:
        if "manager" in getattr(item, "fixturenames", ()) and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.only_one("unified-root"))


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
    with put_back(tree):
        yield made
        another(made, PARENT).kill()
        made.remove()
        cgroups.manager(PARENT).remove()
        if tree:
            v2.Manager(PARENT, tree).remove()


@contextmanager
def put_back(tree: Hierarchy | None) -> Iterator[None]:
    """What the root of a hybrid host's v2 tree handed down: a controller that it keeps can be mounted on v1 by nobody."""
    control = Path(tree.mountpoint, "cgroup.subtree_control") if tree and not unified([tree]) else None
    before = control.read_text().split() if control else []
    yield
    if control:
        for controller in set(control.read_text().split()) - {*before}:
            control.write_text(f"-{controller}")

"""The rooms of daemon/ import each other downwards, late imports counted; only what a type checker alone reads is apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from minidock import daemon

PACKAGE = Path(daemon.__file__).parent
# From the ground up. Rooms on one floor do not import each other.
FLOORS = (
    ("base",),
    ("request",),
    ("record",),
    ("exits",),
    ("containers", "images", "volumes", "networks"),
    ("system",),
    ("engine",),
    ("",),  # the plan on the wall, daemon/__init__.py
)
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
# Arrows up, at most two, with their reasons.
UP = {
    ("exits.entry", "engine"): "what a shim executes when no engine is left is an engine of its own; nobody imports it",
}


def name_of(path: Path) -> str:
    """``record.names`` for daemon/record/names.py; a room's own name for its ``__init__``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def imports(name: str) -> Iterator[str]:
    """The modules of daemon/ that module `name` imports when it runs, at once or late."""
    pending: list[ast.AST] = [ast.parse(MODULES[name].read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
            continue
        pending += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for target in found:
            package, _, inside = target.partition("minidock.daemon.")
            if not package and inside:
                yield inside if inside in MODULES else inside.rpartition(".")[0]


ARROWS = {(name, target) for name in MODULES for target in imports(name) if target != name}


def room(name: str) -> str:
    return name.partition(".")[0]


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_between_rooms_point_down(name: str) -> None:
    for target in imports(name):
        if room(target) != room(name) and (name, target) not in UP:
            assert HEIGHT[room(target)] < HEIGHT[room(name)], f"{name} imports {target}"


def test_few_arrows_point_up_and_each_is_there() -> None:
    assert len(UP) <= 2
    assert set(UP) <= ARROWS


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {name: set() for name in MODULES}
    for name, target in ARROWS:
        graph[name].add(target)
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)  # CycleError has the circle


def test_the_test_sees_late_imports() -> None:
    assert ("engine", "containers.start") in ARROWS  # inside a function
    assert ("exits.due", "engine") not in ARROWS  # for mypy alone

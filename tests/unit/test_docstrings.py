"""Public docstrings keep what CONTRIBUTING.md promises: the share of each package may only rise (``tests/docstrings.py``)."""

from __future__ import annotations

import ast

import pytest

from tests import docstrings

# Percent that keep the promise. Who makes one rise writes the new number down.
FLOORS = {
    ".": 88, "cli": 50, "client": 73, "daemon": 90, "daemon/base": 61, "daemon/containers": 42, "daemon/exits": 80,
    "daemon/images": 47, "daemon/networks": 50, "daemon/record": 77, "daemon/request": 97, "daemon/system": 72,
    "daemon/volumes": 100, "execdriver": 58, "graph": 60, "graphdriver": 50, "lab": 62, "libcontainer": 63, "linux": 43,
    "networkdriver": 55, "shim": 66,
}  # fmt: skip


def test_the_number_only_goes_up() -> None:
    counted = docstrings.count()
    assert counted.keys() == FLOORS.keys()
    fallen = {
        package: [str(one) for one in found if one.broken]
        for package, found in counted.items()
        if 100 * sum(not one.broken for one in found) < FLOORS[package] * len(found)
    }
    assert not fallen


@pytest.mark.parametrize(
    ("code", "lacking"),
    [
        ("def f(): pass", "no docstring"),
        ('def f(size, word_count): "`size` in bytes."', "says nothing of word_count"),
        ('def f(size, word_count): "`size` in bytes; the word count."', ""),
        ('def f(engine: Engine, self_made=None): "Of what is self_made."', ""),
        ('def f():\n    "It fails."\n    raise OSError(1)', "does not say that it raises OSError"),
        ('def f():\n    "Raises OSError."\n    raise OSError(1)', ""),
        ('def f():\n    "It fails later."\n    def g():\n        raise OSError(1)', ""),
    ],
)
def test_the_rule(code: str, lacking: str) -> None:
    """If it sees less than it says, the numbers above say nothing."""
    (node,) = ast.parse(code).body
    assert isinstance(node, ast.FunctionDef)
    assert docstrings.broken(node, None) == lacking


def test_a_system_call_names_its_source() -> None:
    (node,) = ast.parse('def f(): "Wait."').body
    assert isinstance(node, ast.FunctionDef)
    assert docstrings.broken(node, "Processes.") == "names no source"
    assert docstrings.broken(node, "Processes: waitid(2).") == ""


def test_every_package_says_what_lives_there() -> None:
    silent = [
        str(path) for path in docstrings.PACKAGE.rglob("__init__.py") if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent

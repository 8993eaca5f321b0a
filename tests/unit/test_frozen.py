"""Records that never change: what a frozen dataclass promises, without its cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import ClassVar

import pytest

from minidock.frozen import Frozen


class Point(Frozen):
    x: int
    y: int = 0
    note: str = ""


class Other(Frozen):
    x: int
    y: int = 0
    note: str = ""


def test_by_position_by_name_and_by_default() -> None:
    point = Point(1, note="here")
    assert (point.x, point.y, point.note) == (1, 0, "here")
    assert repr(point) == "Point(x=1, y=0, note='here')"
    assert json.dumps(Point(1, 2), default=vars, sort_keys=True) == '{"note": "", "x": 1, "y": 2}'


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Point(),  # type: ignore[call-arg]
        lambda: Point(1, 2, "", 3),  # type: ignore[call-arg]
        lambda: Point(1, z=2),  # type: ignore[call-arg]
        lambda: Point(1, x=2),  # type: ignore[misc]
        lambda: Point(1).replace(z=2),
    ],
    ids=["missing", "too many", "unknown", "doubled", "unknown in replace"],
)
def test_wrong_fields_are_an_error(wrong: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="Point"):
        wrong()


def test_equal_field_by_field_and_only_within_its_class() -> None:
    assert Point(1, 2) == Point(1, y=2) != Point(1, 3)
    assert len({Point(1), Point(1), Point(2)}) == 2
    assert Point(1) != Other(1)


def test_it_does_not_change() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="cannot change field 'x'"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="cannot delete field 'x'"):
        del point.x
    assert point == Point(1)
    assert point.replace(x=2) == Point(2) and point == Point(1)


def test_it_loads_nothing_that_costs() -> None:
    code = "import sys; before = set(sys.modules); import minidock.frozen; print(*set(sys.modules) - before)"
    out = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"], capture_output=True
    )
    assert set(out.stdout.decode().split()) == {"__future__", "minidock", "minidock.frozen"}


class Named(Point):
    kind: ClassVar[str] = "named"
    name: str = "nobody"


def test_a_record_that_extends_another_has_its_fields_too() -> None:
    named = Named(1, 2, name="somebody")
    assert (Named._fields, named.x, named.y, named.note, named.name) == (("x", "y", "note", "name"), 1, 2, "", "somebody")
    assert named.kind == "named" and named != Named(1, 2) and Point._fields == ("x", "y", "note")


def test_the_zygote_has_no_dataclasses() -> None:
    """With what they load they are a sixth of the memory that each start copies the page tables of."""
    code = "import sys, minidock.shim.zygote; print(sorted({'dataclasses', 'inspect', 'ast'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"

"""``check("03-pid", answer)``: is the exercise done? It looks at the final state, never at the commands that led there.

A check is a function registered under its id (`register`); the checks of a chapter live in ``exercises/``. It gets the
reader's answer (``...`` when the cell still holds its placeholder) and says one of three things::

    not attempted    raise NotAttempted, or the answer is still ``...``    the notebook goes on: nothing is wrong
    PASS             return                                                 (a str returned is shown: what was seen)
    FAIL             raise Wrong("what is wrong")                           a hint: says what is wrong, not the fix

In the run with solutions (`workspace.solutions`) everything but PASS raises `CheckFailed`, so that a solution which no
longer solves its exercise, or a check which no longer recognises one, stops the build.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from minidock.lab import workspace

PASS, FAIL, NOT_ATTEMPTED = "PASS", "FAIL", "not attempted"

CheckFunction = Callable[[Any], "str | None"]


class Wrong(Exception):
    """The answer, or the state, is not what the exercise asks for; the message says what is wrong."""


class NotAttempted(Exception):
    """Nothing has been done yet (the container that was asked for is not there)."""


class CheckFailed(AssertionError):
    """In the run with solutions: this check did not pass."""


@dataclass(frozen=True)
class Check:
    """A registered check: its id, tier (observe, modify or build), what was asked, and the function."""

    id: str
    tier: str
    asks: str
    function: CheckFunction


@dataclass(frozen=True, repr=False)
class Result:
    """What a check said. ``str()`` is the line that the notebook shows."""

    id: str
    outcome: str
    message: str = ""

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.id}: {self.outcome}" + (f" ({self.message})" if self.message else "")

    def __bool__(self) -> bool:
        return self.outcome != FAIL

    def _repr_html_(self) -> str:
        colour = {PASS: "#009E73", FAIL: "#D55E00"}.get(self.outcome, "#777777")
        mark = {PASS: "✔", FAIL: "✘"}.get(self.outcome, "○")
        return (
            f'<div style="border-left:4px solid {colour};padding:4px 10px"><b style="color:{colour}">{mark} '
            f"{escape(self.outcome)}</b> <code>{escape(self.id)}</code> {escape(self.message)}</div>"
        )


_registry: dict[str, Check] = {}


def register(id: str, tier: str, asks: str) -> Callable[[CheckFunction], CheckFunction]:
    """Decorate the function behind ``check(id)``. Raises ValueError for a tier that is none, or an id taken twice."""
    if tier not in ("observe", "modify", "build"):
        raise ValueError(f"{id}: no such tier: {tier}")

    def decorator(function: CheckFunction) -> CheckFunction:
        if id in _registry and _registry[id].function.__qualname__ != function.__qualname__:
            raise ValueError(f"two checks called {id}")
        _registry[id] = Check(id, tier, asks, function)
        return function

    return decorator


def registered(chapter: str = "") -> list[Check]:
    """The checks whose id starts with `chapter`, in order of registration."""
    return [c for c in _registry.values() if c.id.startswith(chapter)]


def evaluate(id: str, answer: Any = ...) -> Result:
    """Run the check and say how it went, without raising. Raises KeyError for an id that no check has."""
    try:
        seen = _registry[id].function(answer)
    except NotAttempted as e:
        return Result(id, NOT_ATTEMPTED, str(e))
    except Wrong as e:
        return Result(id, FAIL, str(e))
    return Result(id, PASS, seen or "")


def check(id: str, answer: Any = ...) -> Result:
    """The check as a notebook calls it: `evaluate`, and in the run with solutions anything but PASS raises CheckFailed."""
    result = evaluate(id, answer)
    if workspace.solutions() and result.outcome != PASS:
        raise CheckFailed(str(result))
    return result


def answered(answer: Any) -> Any:
    """The answer, or NotAttempted if the placeholder ``...`` still stands there."""
    if answer is ...:
        raise NotAttempted("replace the ... with your answer")
    return answer


def expect(condition: object, hint: str) -> None:
    """Raise Wrong(hint) unless `condition` holds."""
    if not condition:
        raise Wrong(hint)

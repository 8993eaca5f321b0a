"""Two containers' answers to the probe, compared: which is the weaker one, field by field (kinds of fields: ``probe.py``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Answers = Mapping[str, Any]


@dataclass(frozen=True)
class Difference:
    """A field in which `ours` is not as `theirs`. `verdict` is ours: "weaker", "stricter" or "other" (neither)."""

    field: str
    ours: Any
    theirs: Any
    verdict: str


def differences(ours: Answers, theirs: Answers) -> Iterator[Difference]:
    """Every field that is not the same in both. A field that only one has counts as absent (None) in the other."""
    for field in sorted({*ours, *theirs}):
        mine, other = ours.get(field), theirs.get(field)
        if mine != other:
            yield Difference(field, mine, other, _verdict(field, mine, other))


def _verdict(field: str, mine: Any, other: Any) -> str:
    kind = field.partition(" ")[0]
    weaker, stricter = _ranks(kind, mine, other)
    return "weaker" if weaker else "stricter" if stricter else "other"


def _ranks(kind: str, mine: Any, other: Any) -> tuple[bool, bool]:
    """(ours is weaker, ours is stricter)."""
    if kind == "set":
        return bool(set(mine or ()) - set(other or ())), bool(set(other or ()) - set(mine or ()))
    if kind in ("try", "see"):  # what cannot be tried, because it is not there, is refused
        granted = "ok" if kind == "try" else "content"
        return mine == granted, other == granted
    if kind in ("least", "most"):
        if mine is None or other is None:
            return True, False
        return (mine < other, mine > other) if kind == "least" else (mine > other, mine < other)
    if kind == "mount":
        return _mounts(mine, other)
    return False, False


def _mounts(mine: Any, other: Any) -> tuple[bool, bool]:
    """A mount more shows something more, unless it only hides or locks; a mount less may have been a lock."""
    lock = {"ro", "null"}
    if mine is None or other is None:
        present = set((mine or other)["flags"])
        locks = bool(lock & present)
        return (not locks, locks) if other is None else (locks, not locks)
    if mine["type"] != other["type"]:
        return True, False
    ours, theirs = set(mine["flags"]), set(other["flags"])
    return bool(theirs - ours), bool(ours - theirs)

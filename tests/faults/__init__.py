"""The fault list: small faults, each as a real regression would look, and the tests that ought to see it.

A test that passes proves little until one knows what would make it fail. ``python -m tests.faults`` puts one fault at a time
into a copy of this checkout, runs the tests that are named beside it, and says whether they saw it. Who changes a line that
a fault is anchored at changes the anchor too: ``tests/unit/test_faults.py`` looks whether each stands exactly once in its file.

How to choose one: not a typing error, which everything sees, but what a hurried hand does: a flag left out, a boundary moved by
one, an undo forgotten, a check removed, another unit, a twin table edited in the place of the used one.
"""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """`old` (exactly once in `file`, which is below minidock/) becomes `new`; `tests` are pytest's arguments; `loss` is what
    a user loses."""

    file: str
    old: str
    new: str
    tests: str
    loss: str

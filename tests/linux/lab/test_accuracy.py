"""The accuracy table in small: a control is judged by the promise of the run that it controls."""

from __future__ import annotations

from pathlib import Path

from minidock.lab import accuracy


def test_a_control_is_judged_by_the_same_promise(tmp_path: Path) -> None:
    with accuracy.instance() as (client, folder):
        (line,) = accuracy.table(["quota"], client, folder, stretch=0.2)
    assert line.control is not None
    assert line.control.promise == line.result.promise
    assert line.result.promise.low < 0.5 < line.result.promise.high

"""The records of what happened: appended by several writers, the older half kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minidock.shim import notes


def read(path: Path) -> list[str]:
    return [json.loads(line)["ID"] for line in path.read_text().splitlines()]


def test_one_line_each_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    for id in ("a" * 64, "b" * 60, "c" * 64):
        notes.note(str(path), id, "oom", {"image": "busybox"})
    assert read(path) == ["a" * 64, "b" * 60, "c" * 64]
    record = json.loads(path.read_text().splitlines()[0])
    assert record["Action"] == "oom" and record["Attributes"] == {"image": "busybox"} and record["timeNano"] > 10**18
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_file_becomes_the_older_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "MAX_SIZE", 200)
    path = tmp_path / "records.jsonl"
    for number in range(5):
        notes.note(str(path), f"{number}", "oom", {"image": "x" * 20})
    older, newer = read(tmp_path / "records.jsonl.1"), read(path) if path.exists() else []
    assert older + newer == ["0", "1", "2", "3", "4"][-len(older + newer) :]
    assert len(older) >= 2

"""Rows, medians, and what is kept of a measurement."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from minidock.lab import facts, measure, workspace


@pytest.fixture(autouse=True)
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(workspace.BUILD, str(tmp_path / "build"))
    return tmp_path / "build"


def test_cases_are_interleaved() -> None:
    order: list[str] = []
    rows = measure.repeat({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2, warmup=1)
    assert order == ["a", "b"] * 3
    assert [(r["case"], r["round"]) for r in rows] == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert all(r["ms"] >= 0 for r in rows)


def test_medians_and_columns() -> None:
    rows = [{"case": c, "ms": ms} for c, ms in (("x", 1), ("y", 10), ("x", 3), ("x", 2))]
    assert measure.medians(rows) == {"x": 2, "y": 10}
    assert list(measure.medians(rows)) == ["x", "y"]
    assert measure.column(rows, "ms", case="x") == [1, 3, 2]


def test_saved_beside_the_facts_of_the_machine(build: Path) -> None:
    path = measure.save("start", [{"case": "x", "ms": 1.5}], unit="ms")
    assert path == build / "measurements" / "start.json"
    kept = json.loads(path.read_text())
    assert kept["system"]["kernel"] == os.uname().release
    assert kept["about"] == {"unit": "ms"}
    assert measure.load("start") == [{"case": "x", "ms": 1.5}]
    assert [p.name for p in path.parent.iterdir()] == ["start.json"], "no temporary file stays"
    with pytest.raises(FileNotFoundError):
        measure.load("never")


def test_steal() -> None:
    """Time that the hypervisor took is seen: a measurement under it must not be judged."""
    names = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    before = dict.fromkeys(names, 0)
    assert facts.steal_share(before, {**before, "idle": 75, "steal": 25}) == 0.25
    assert facts.steal_share(before, before) == 0.0
    long_ago = {**before, "idle": 1000, "steal": 1000}
    assert facts.steal_share(long_ago, {**long_ago, "idle": 1090, "steal": 1010}) == 0.1, "of the window, not of the boot"
    assert set(facts.cpu_times()) == set(names)


def test_files_go_to_the_user_behind_sudo(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs: root")
    monkeypatch.setenv("SUDO_UID", "12345")
    monkeypatch.setenv("SUDO_GID", "54321")
    path = measure.save("owned", [])
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)
    assert path.parent.stat().st_uid == 12345


def test_without_sudo_the_owner_stays(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert measure.save("mine", []).stat().st_uid == os.geteuid()


def test_root_of_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    assert workspace.project_root(tmp_path / "notebooks" / "deep") == tmp_path

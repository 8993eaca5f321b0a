"""A client with an instance of its own, busybox in it, and a build folder of its own for what is saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidock.lab import plots_experiment, workspace
from minidock.lab.verdicts import Promise
from tests.linux.client.conftest import busybox_tar as busybox_tar
from tests.linux.client.conftest import client as client


@pytest.fixture(scope="session", autouse=True)
def fonts_are_open() -> None:
    """matplotlib keeps the files of the fonts that it has used open: those of the lab's figures, before anybody counts."""
    plots_experiment.against({"a": (1.0,)}, Promise("", 0.5, 1.5), title="x", label="y")


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ``measure.save`` writes during the test."""
    monkeypatch.setenv(workspace.BUILD, str(tmp_path / "build"))
    return tmp_path / "build"

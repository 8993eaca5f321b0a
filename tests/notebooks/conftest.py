"""An instance of its own for the notebooks: with base images, and a zygote that is there before and after each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_core.utils import ensure_event_loop

import minidock
from minidock.daemon.system.teardown import teardown
from minidock.graph.bootstrap import bootstrap
from minidock.lab import chapter, workspace
from tests.conftest import needs

LAB = Path(__file__).resolve().parents[2]
NOTEBOOKS = LAB / "notebooks"
CHAPTERS = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture(scope="session", autouse=True)
def event_loop_of_the_runner() -> None:
    """nbclient keeps one event loop for the process: its descriptors are there before the first test counts any."""
    ensure_event_loop()


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The state folder of an instance that has busybox and lab."""
    needs("root")
    root = tmp_path_factory.mktemp("notebooks") / "root"
    with minidock.from_env(root) as client:
        bootstrap(client.api.engine.images, lambda _line: None)
        client.containers.run("busybox", "true", network_mode="none", remove=True)
    yield root
    teardown(root)


@pytest.fixture
def lab_environment(instance: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a headless notebook's kernel inherits: our instance, a build folder of its own."""
    monkeypatch.setenv("MINIDOCK_ROOT", str(instance))
    monkeypatch.setenv(workspace.BUILD, str(tmp_path / "build"))
    monkeypatch.setenv(workspace.HEADLESS, "1")
    monkeypatch.setenv("PATH", f"{LAB / '.venv/bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "build"


@pytest.fixture
def opened(request: pytest.FixtureRequest, lab_environment: Path) -> Iterator[chapter.Chapter]:
    """The chapter named by the test's parameter, opened as its first cell does, closed as its last."""
    current = chapter.begin(request.param)
    yield current
    assert current.end().endswith("PASS")
    current.client.close()
    chapter._current = None

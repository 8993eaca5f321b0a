"""An instance of its own for the notebooks: with base images, and a zygote that is there before and after each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
# The chapters that `./lab test` runs each time; the others are for --chapters and --all.
EACH_TIME = ("00-preflight", "03-namespaces", "04-cgroups", "09-memory")
# The chapters that measure nothing that a neighbor on the machine could take from them; the others run alone.
QUIET = ("04-cgroups", "09-memory")
# And the chapters of which an exercise is judged by a time, too.
TIMED_EXERCISES = ("08-cpu", "11-disk-io")


def chapters(*beside: pytest.MarkDecorator) -> list[Any]:
    """A parameter for each chapter; those that `./lab test` leaves out carry the marks `beside`."""
    return [pytest.param(p, id=p.stem, marks=() if p.stem in EACH_TIME else beside) for p in CHAPTERS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A chapter's marks are one on the whole machine: of its tests, one at a time; the chapters, beside each other."""
    for item in items:
        stem = _chapter(item)
        if stem and item.path.name != "test_form.py" and item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.only_one(f"chapter-{stem[:2]}"))
            if stem in TIMED_EXERCISES or (item.path.name == "test_run.py" and stem not in QUIET):
                item.add_marker(pytest.mark.measuring)


def _chapter(item: pytest.Item) -> str:
    """The chapter that a test is about, by its parameters; "" if about none, or all."""
    values = getattr(item, "callspec", None) and item.callspec.params  # type: ignore[attr-defined]
    for name in ("path", "stem", "opened"):
        if values and name in values:
            return values[name].stem if isinstance(values[name], Path) else str(values[name])
    return ""


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

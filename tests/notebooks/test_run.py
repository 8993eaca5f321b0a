"""The chapters run: as committed (nbval), with their solutions, after a kernel that died in the middle, twice in a row."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError

from minidock.lab import cleanup, runner
from tests.notebooks.conftest import CHAPTERS, LAB, chapters

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
LIMIT = 90  # seconds, DESIGN's budget of a chapter


@pytest.mark.parametrize("path", chapters(pytest.mark.chapters))
def test_as_committed(path: Path, lab_environment: Path) -> None:
    """nbval runs every cell and compares the output of those that say so."""
    argv = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-cell-timeout=120", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*argv, "--timeout=0", str(path)], cwd=LAB, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize("path", chapters(pytest.mark.all))
def test_with_solutions(path: Path, lab_environment: Path) -> None:
    """A reader who fills in the solutions sees every check pass, within a chapter's time, in a file that stays as it was."""
    before = path.read_bytes()
    report = runner.execute(path, solutions=True)
    assert report.ok, str(report)
    assert report.seconds < LIMIT
    assert report.html is not None and "CheckFailed" not in report.html.read_text()
    assert path.read_bytes() == before


class Killer(NotebookClient):
    """Runs a notebook and kills its kernel with SIGKILL right after one cell."""

    after = ""

    def die(self, cell: Any, **_: object) -> None:
        if cell.id == self.after:
            os.kill(self.km.provisioner.process.pid, signal.SIGKILL)


@pytest.mark.all
@pytest.mark.parametrize(
    ("stem", "cell"),
    [
        ("00-preflight", "detached"),
        ("03-namespaces", "nsenter-shell"),
        ("04-cgroups", "netcls-net"),  # cgroups by hand, a network namespace
        ("08-cpu", "hand-quota"),
        ("09-memory", "hand-order"),  # swap in use, a cgroup made by hand
        ("11-disk-io", "disk-make"),  # a loop device, mounted
    ],
)
def test_a_kernel_that_dies_in_the_middle(stem: str, cell: str, lab_environment: Path) -> None:
    path = next(p for p in CHAPTERS if p.stem == stem)
    client = Killer(
        nbformat.read(path, as_version=4), kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.after, client.on_cell_executed = cell, client.die
    with pytest.raises(DeadKernelError):
        client.execute()
    notebook = nbformat.read(path, as_version=4)
    report = runner.execute(path)
    assert report.ok, str(report)
    assert report.html is not None
    assert "taken away from an earlier run" in report.html.read_text()
    assert cleanup.marked(cleanup.Marks(stem)) == []
    assert notebook == nbformat.read(path, as_version=4)


@pytest.mark.all
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_twice_in_a_row(path: Path, lab_environment: Path) -> None:
    for _ in range(2):
        report = runner.execute(path)
        assert report.ok, str(report)

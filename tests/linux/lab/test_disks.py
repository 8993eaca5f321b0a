"""Swap files and loop disks on the real kernel: in use, gone afterwards, gone after a fault, gone after a dead maker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.lab import cleanup, swapfile
from minidock.lab.cleanup import Marks
from minidock.lab.loopdisk import LoopDisk, disk_of
from minidock.lab.swapfile import SwapFile
from tests.conftest import needs

pytestmark = pytest.mark.only_one("chapter-97", "chapter-09", "chapter-11")
MARKS = Marks("97-test")
SMALL = 8 << 20


@pytest.fixture(autouse=True)
def folder() -> Iterator[Path]:
    needs("root")
    MARKS.disk.mkdir(exist_ok=True)
    yield MARKS.disk
    cleanup.take_away(MARKS)
    assert cleanup.marked(MARKS) == []


def loops() -> set[str]:
    return {p.parts[3] for p in Path("/sys/block").glob("loop*/loop/backing_file")}


def test_swap_is_in_use_first_and_gone_afterwards(folder: Path) -> None:
    with SwapFile(folder / "swap", SMALL) as swap:
        area = swap.area()
        assert area is not None
        assert area.priority == max(a.priority for a in swapfile.areas())
        assert SMALL - (1 << 16) <= area.size < SMALL, "one page is the header's"
        assert (folder / "swap").stat().st_mode & 0o777 == 0o600
    assert swap.area() is None
    assert not swap.path.exists()
    swap.remove()


def test_a_swap_file_that_is_refused_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    """On a tmpfs the kernel refuses one."""
    point = folder / "memory"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    before = swapfile.areas()
    with pytest.raises(subprocess.CalledProcessError):
        SwapFile(point / "swap", SMALL)
    assert list(point.iterdir()) == []
    assert swapfile.areas() == before


def test_a_file_that_is_there_is_not_touched(folder: Path) -> None:
    (folder / "swap").write_text("mine")
    (folder / "disk.img").write_text("mine")
    for make in (lambda: SwapFile(folder / "swap", SMALL), lambda: LoopDisk(folder, SMALL)):
        with pytest.raises(FileExistsError):
            make()
    assert (folder / "swap").read_text() == (folder / "disk.img").read_text() == "mine"


def test_a_loop_disk_with_a_scheduler(folder: Path) -> None:
    before = loops()
    with LoopDisk(folder, SMALL, scheduler="bfq") as made:
        assert made.disk.schedulers()[0] == "bfq"
        assert disk_of(made.mount) == made.disk
        (made.mount / "file").write_bytes(bytes(1 << 16))
        name = made.disk.name
    assert loops() == before
    assert not list(folder.iterdir())
    assert Path(f"/sys/block/{name}/queue/scheduler").read_text().find("[bfq]") < 0
    made.remove()


def test_a_loop_disk_with_an_unknown_scheduler_leaves_nothing(folder: Path) -> None:
    before = loops()
    with pytest.raises(ValueError, match="only by"):
        LoopDisk(folder, SMALL, scheduler="lottery")
    assert loops() == before
    assert not list(folder.iterdir())


def test_what_a_dead_kernel_left_is_taken_away(folder: Path) -> None:
    """The maker ends with SIGKILL, in the middle of its work: swap in use, disk mounted, scheduler changed."""
    program = """
import os, signal, sys
from minidock.lab.loopdisk import LoopDisk
from minidock.lab.swapfile import SwapFile
swap, disk = SwapFile(f"{sys.argv[1]}/swap", 8 << 20), LoopDisk(sys.argv[1], 8 << 20, scheduler="bfq")
print(disk.disk.name, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    dead = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True)
    assert dead.returncode == -9, dead.stderr
    name = dead.stdout.strip()
    assert "[bfq]" in Path(f"/sys/block/{name}/queue/scheduler").read_text()
    assert {x.kind for x in cleanup.take_away(MARKS)} == {"swap", "mount", "loop", "folder"}
    assert cleanup.marked(MARKS) == []
    assert "[bfq]" not in Path(f"/sys/block/{name}/queue/scheduler").read_text(), "the next user gets it as it was"

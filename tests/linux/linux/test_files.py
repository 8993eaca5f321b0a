"""Files that are whole or not there; folders whose entries are spread."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from minidock.graphdriver.overlay import filesystem
from minidock.linux.files import flock, read_small, spread, write_atomic


def attributes(directory: Path) -> str:
    return subprocess.run(["lsattr", "-d", directory], capture_output=True, text=True, check=True).stdout.split()[0]


def test_a_folder_is_spread_where_the_file_system_can(tmp_path: Path) -> None:
    plain, marked = tmp_path / "plain", tmp_path / "marked"
    for directory in (plain, marked):
        directory.mkdir()
    spread(marked)
    if filesystem(str(tmp_path)) == "ext4":
        assert "T" in attributes(marked) and "T" not in attributes(plain)
    spread(Path("/dev/shm"))  # a tmpfs: nothing happens
    spread(Path("/proc/self"))
    with pytest.raises(FileNotFoundError):
        spread(tmp_path / "nowhere")


def test_a_file_larger_than_one_read(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1000
    write_atomic(tmp_path / "file", data, durable=False)
    assert read_small(tmp_path / "file") == data
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "in it").touch()
    with pytest.raises(OSError):
        write_atomic(tmp_path / "file", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_disk_that_fills_up_leaves_the_old_file(tmp_path: Path) -> None:
    """The kernel takes a part of the bytes and no more: what is half-written must not be taken for a whole file."""
    room = tmp_path / "room"
    room.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", room], check=True)
    try:
        write_atomic(room / "state", "old")
        with pytest.raises(OSError) as full:
            write_atomic(room / "state", "x" * (100 << 10))
        assert full.value.errno == errno.ENOSPC
        assert (room / "state").read_text() == "old"
        assert [p.name for p in room.iterdir()] == ["state"]
    finally:
        subprocess.run(["umount", room], check=True)


def test_one_holder_or_many_readers(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with flock(path):
        for shared in (False, True):
            with pytest.raises(BlockingIOError), flock(path, shared=shared, blocking=False):
                pass
    with flock(path, shared=True), flock(path, shared=True, blocking=False):
        with pytest.raises(BlockingIOError), flock(path, blocking=False):
            pass
    with flock(path, blocking=False):
        pass

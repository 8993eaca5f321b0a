"""Files that are whole or not there; folders whose entries are spread."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from minidock.graphdriver.overlay import filesystem
from minidock.linux.files import read_small, spread, write_atomic


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

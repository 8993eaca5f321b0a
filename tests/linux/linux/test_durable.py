"""A power cut, for real: what has not reached the disk is not there afterwards.

The file system is one of ours on a loop device. What lies in the device's file at a moment is what a disk would hold if the
power went then: a copy of it is mounted (the journal is replayed, as after a cut) and looked at. A file's name and its bytes
travel apart: ext4 commits names every few seconds, for anybody's fsync, and bytes after half a minute. So a file that was
renamed into place without an fsync is there after a cut, and empty.
"""

from __future__ import annotations

from pathlib import Path

from minidock.linux import files
from tests.linux.linux.powercut import Disk, disk  # noqa: F401  (a fixture)

TEXT = "a state file\n" * 100


def test_a_durable_file_is_whole_after_a_power_cut(disk: Disk) -> None:  # noqa: F811
    files.write_atomic(disk.path / "durable", TEXT)
    files.write_atomic(disk.path / "fleeting", TEXT, durable=False)
    files.write(str(disk.path / "plain"), TEXT)
    with disk.after_a_cut() as found:
        assert (found / "durable").read_text() == TEXT
        assert (found / "plain").read_text() == TEXT
        assert (found / "fleeting").read_text() == "", "control: without an fsync the bytes are not there"


def test_a_file_that_is_replaced_is_the_old_one_or_the_new_one(disk: Disk) -> None:  # noqa: F811
    for text in ("one", "two", "three"):
        files.write_atomic(disk.path / "state", text)
        with disk.after_a_cut() as found:
            assert (found / "state").read_text() == text


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"lost+found", "somebody's"}


def test_nothing_but_the_file_is_left(disk: Disk) -> None:  # noqa: F811
    files.write_atomic(disk.path / "state", TEXT)
    with disk.after_a_cut() as found:
        assert names(found) == names(disk.path) == {"state"}

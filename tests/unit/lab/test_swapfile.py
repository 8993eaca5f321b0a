"""Reading /proc/swaps and the disk's own files; nothing is made here (tests/linux/lab/test_disks.py does)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from minidock.lab import loopdisk, swapfile
from minidock.lab.swapfile import Area

SWAPS = """\
Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority
/dev/sda2                               partition\t1046524\t\t20480\t\t-2
/var/tmp/with\\040space/swap             file\t\t262140\t\t0\t\t32767
"""


def test_areas_are_read_in_bytes_and_names_in_full() -> None:
    assert swapfile.areas(SWAPS) == [
        Area("/dev/sda2", 1046524 << 10, 20480 << 10, -2),
        Area("/var/tmp/with space/swap", 262140 << 10, 0, 32767),
    ]


def test_no_area() -> None:
    """A machine without swap has no areas."""
    assert swapfile.areas(SWAPS.splitlines()[0]) == []


def test_switching_off_what_is_not_on_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """swapoff(8) of such a file fails: a chapter that cleans up twice would end in an error."""
    ran: list[object] = []
    monkeypatch.setattr(swapfile, "_run", lambda *command: ran.append(command))
    swapfile.switch_off(tmp_path / "nothing")
    assert ran == []
    monkeypatch.setattr(swapfile, "areas", lambda: [Area(str(tmp_path / "nothing"), 0, 0, 0)])
    swapfile.switch_off(tmp_path / "nothing")
    assert ran == [("swapoff", str(tmp_path / "nothing"))]


def test_a_path_without_a_disk() -> None:
    assert loopdisk.disk_of("/proc") is None


def test_a_disk_is_whole() -> None:
    disk = loopdisk.disk_of(os.path.dirname(__file__))
    if disk is not None:  # a checkout on a network's or a hypervisor's folder has none
        assert not Path(f"/sys/block/{disk.name}/partition").exists()
        assert Path(f"/sys/block/{disk.name}/dev").read_text().strip() == disk.number
        now, possible = disk.schedulers()
        assert now in possible
        assert disk.sectors()["write"] >= 0


@pytest.mark.parametrize("note", [True, False])
def test_a_scheduler_is_put_back_only_when_one_was_noted(tmp_path: Path, note: bool) -> None:
    image = tmp_path / "disk.img"
    if note:
        (tmp_path / "disk.scheduler").write_text("none")
        with pytest.raises(FileNotFoundError, match="no-such-disk"):
            loopdisk.put_scheduler_back("no-such-disk", image)
        assert (tmp_path / "disk.scheduler").exists(), "not done, so not forgotten"
    else:
        loopdisk.put_scheduler_back("no-such-disk", image)

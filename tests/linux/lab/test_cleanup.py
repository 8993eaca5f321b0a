"""Clean-up by mark: everything a chapter leaves is found and taken away, and nothing else."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.lab import cleanup
from minidock.lab.cleanup import Leftover, Marks
from tests.conftest import needs

pytestmark = pytest.mark.only_one("chapter-97", "chapter-98")
OURS, OTHERS = Marks("97-test"), Marks("98-test")


@pytest.fixture(autouse=True)
def root() -> Iterator[None]:
    needs("root")
    yield
    for marks in (OURS, OTHERS):
        cleanup.take_away(marks)


def leave(marks: Marks) -> subprocess.Popen[bytes]:
    """One of each kind, as a chapter would leave it whose kernel died."""
    marks.scratch.mkdir()
    point = marks.scratch / "point"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    (point / "inner").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point / "inner"], check=True)
    disk = marks.scratch / "disk"
    disk.write_bytes(bytes(1 << 20))
    subprocess.run(["losetup", "--find", disk], check=True)
    subprocess.run(["ip", "netns", "add", f"{marks.prefix}-net"], check=True)
    subprocess.run(["ip", "link", "add", f"{marks.prefix}a", "type", "veth", "peer", "name", f"{marks.prefix}b"], check=True)
    for hierarchy in hierarchies():
        (hierarchy / marks.prefix / "child").mkdir(parents=True)
    rule = ["INPUT", "-s", "127.99.0.1", "-m", "comment", "--comment", f"{marks.prefix} test", "-j", "ACCEPT"]
    subprocess.run(["iptables", "-w", "-A", *rule], check=True)
    return subprocess.Popen(["sleep", "300"], env={**os.environ, **marks.environment})


def hierarchies() -> list[Path]:
    return [p for p in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")) if (p / "cgroup.procs").exists()][:1]


def kinds(left: list[Leftover]) -> set[str]:
    return {x.kind for x in left}


EVERY = {"process", "mount", "loop", "link", "netns", "cgroup", "rule", "folder"}


def test_everything_marked_is_found_and_taken_away() -> None:
    process = leave(OURS)
    assert kinds(cleanup.marked(OURS)) == EVERY
    assert kinds(cleanup.take_away(OURS)) == EVERY
    assert cleanup.marked(OURS) == []
    process.wait()
    assert cleanup.take_away(OURS) == [], "a second time there is nothing to do"


def test_what_another_chapter_made_stays() -> None:
    other = leave(OTHERS)
    assert cleanup.marked(OURS) == []
    assert cleanup.take_away(OURS) == []
    assert kinds(cleanup.marked(OTHERS)) == EVERY
    assert other.poll() is None
    cleanup.take_away(OTHERS)
    other.wait()


def test_orphaned_cgroups_of_the_instance_only() -> None:
    needs("root")
    (hierarchy,) = hierarchies()
    instance, known, lost = hierarchy / "lab97-instance", "a" * 64, "b" * 64
    try:
        for name in (known, lost, "shims"):
            (instance / name).mkdir(parents=True)
        assert cleanup.orphans("lab97-instance", [known]) == {Leftover("cgroup", str(instance / lost))}
        assert cleanup.orphans("lab97-elsewhere", []) == set()
    finally:
        cleanup.take_away(OURS)


def test_snapshot_sees_mounts_of_the_state_folder(tmp_path: Path) -> None:
    before = cleanup.snapshot(tmp_path, "no-such-bridge")
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    try:
        assert cleanup.snapshot(tmp_path, "no-such-bridge") - before == {Leftover("mount", str(tmp_path))}
        assert cleanup.snapshot(tmp_path / "elsewhere", "no-such-bridge") == set()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_snapshot_sees_links_of_the_bridge() -> None:
    subprocess.run(["ip", "link", "add", "lab97br", "type", "bridge"], check=True)
    subprocess.run(["ip", "link", "add", "lab97x", "type", "veth", "peer", "name", "lab97y"], check=True)
    subprocess.run(["ip", "link", "set", "lab97x", "master", "lab97br"], check=True)
    assert cleanup.snapshot(Path("/nowhere"), "lab97br") == {Leftover("link", "lab97x")}
    cleanup.take_away(OURS)

"""Cgroups by hand: groups that do what their files say, hierarchies that nobody sees, and a clean-up that finds them all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from minidock.errors import NotSupported
from minidock.lab import cgroups, chapter, cleanup, hiddenmount, hugepages
from minidock.lab.cgroups import Group
from minidock.lab.exercises.ch04 import forks
from minidock.libcontainer.cgroups import hierarchies, manager
from minidock.libcontainer.cgroups.hierarchy import unified
from tests.conftest import needs

pytestmark = pytest.mark.only_one("chapter-97", "chapter-04")
MARKS = cleanup.Marks("97-test")
INSTANCE = "minidock-lab97test"


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A chapter 97 with an instance of its own, as far as the groups look at it; nothing of it stays."""
    needs("root")
    engine = SimpleNamespace(paths=SimpleNamespace(instance=INSTANCE))
    made = chapter.Chapter(MARKS.chapter)
    monkeypatch.setattr(chapter.Chapter, "engine", engine)
    monkeypatch.setattr(chapter, "_current", made)
    yield
    cleanup.take_away(MARKS)
    assert cleanup.marked(MARKS) == []
    manager(f"/{INSTANCE}").remove()


def hidden_controller() -> str:
    """A v1 controller that is mounted nowhere here; where all are (a distribution that boots with v1), one that is."""
    needs("cgroup-v1")
    seen = {c for tree in hierarchies() for c in tree.controllers}
    return next((c for c in ("net_cls", "net_prio", "perf_event") if c in hiddenmount.known() and c not in seen), "net_cls")


def test_a_group_lies_below_the_instance_and_limits() -> None:
    with Group("few", "pids") as group:
        assert group["pids"].parts[-3:] == (INSTANCE, MARKS.prefix, "few")
        group.write("pids.max", 7)
        assert group.number("pids.max") == 7
        assert group.start(forks(30)).communicate()[0] == "6\n"
        assert group.number("pids.events", "max") >= 1
        group.write("pids.max", "max")
        assert group.number("pids.max") == -1
        assert group.start(forks(30)).communicate()[0] == "30\n", "without the limit all are granted"
    assert not group["pids"].exists()


def test_remove_ends_what_forks_and_what_is_frozen() -> None:
    bomb = "import os, time\nwhile True:\n  try: os.fork()\n  except BlockingIOError: time.sleep(0.01)"
    group = Group("bomb", "pids", "freezer")
    group.write("pids.max", 30)
    group.start([sys.executable, "-c", bomb])
    while group.number("pids.current") < 30:
        time.sleep(0.002)
    group.freeze()
    assert group.frozen()
    group.remove()
    group.remove()
    assert not group["pids"].exists()


def test_thaw_lets_them_go_on() -> None:
    with Group("cold", "freezer", "cpu", "cpuacct") as group:
        group.start(["sh", "-c", "while :; do :; done"])
        while group.cpu_ns() < 1e7:
            time.sleep(0.002)
        group.freeze()
        before = group.cpu_ns()
        time.sleep(0.05)
        assert group.cpu_ns() == before
        group.thaw()
        while group.cpu_ns() <= before:
            time.sleep(0.002)


def test_a_controller_that_is_not_there() -> None:
    with pytest.raises(NotSupported, match="moon is not mounted"):
        Group("none", "moon")


def test_a_hidden_mount_is_in_no_table_and_leaves_nothing() -> None:
    controller = hidden_controller()
    before = Path("/proc/self/mountinfo").read_text()
    with hiddenmount.HiddenMount(controller, MARKS.prefix) as hidden:
        assert Path("/proc/self/mountinfo").read_text() == before
        (hidden.path / "lab97" / "inner").mkdir(parents=True)
        child = subprocess.Popen(cgroups.joining(["cat"], hidden.path / "lab97" / "inner"), stdin=subprocess.PIPE)
        while str(child.pid) not in (hidden.path / "lab97/inner/cgroup.procs").read_text().split():
            time.sleep(0.002)
        assert hidden.ours() == ["lab97/inner", "lab97"]
        child.communicate(b"")
    hidden.close()
    assert hiddenmount.left(MARKS.prefix) == []


def test_what_a_killed_process_left_in_a_hidden_hierarchy_is_found() -> None:
    controller = hidden_controller()
    hidden = hiddenmount.HiddenMount(controller, MARKS.prefix)
    (hidden.path / "lab97").mkdir()
    sleeper = chapter.current().background(cgroups.joining(["sleep", "300"], hidden.path / "lab97"))
    while str(sleeper.pid) not in (hidden.path / "lab97/cgroup.procs").read_text().split():
        time.sleep(0.002)
    hidden.let_go()
    hides = controller not in cgroups.mounted()
    assert (f"hidden cgroup {controller} lab97" in [str(x) for x in cleanup.marked(MARKS)]) == hides
    cleanup.take_away(MARKS)
    assert cleanup.marked(MARKS) == []
    sleeper.wait()


def test_ns_is_in_no_kernel() -> None:
    with pytest.raises(OSError) as raised:
        hiddenmount.HiddenMount("ns", MARKS.prefix)
    assert raised.value.errno == errno.EINVAL


def test_hierarchy_of_a_controller_mounted_or_not() -> None:
    with cgroups.hierarchy("perf_event") as root:
        (root / "lab97").mkdir()
        subprocess.run(cgroups.joining(["true"], root / "lab97"), check=True)
    assert cleanup.marked(MARKS) == [] or unified(hierarchies())


def test_cgroups_below_an_instance_are_found_after_a_dead_kernel() -> None:
    group = Group("lost", "pids", "freezer")
    group.start(["sleep", "300"])
    while not group.pids():
        time.sleep(0.002)
    group.freeze()
    left = [str(x) for x in cleanup.marked(MARKS)]
    assert f"cgroup {group['pids']}" in left
    cleanup.take_away(MARKS)
    assert cleanup.marked(MARKS) == []


def test_the_pool_of_huge_pages_gets_its_size_back(tmp_path: Path) -> None:
    if not hugepages.POOL.exists():
        with pytest.raises(FileNotFoundError), hugepages.more(1, tmp_path):
            pass
        return
    before = hugepages.POOL.read_text()
    with hugepages.more(1, tmp_path) as got:
        assert got in (0, 1)
        os.replace(tmp_path / "nr_hugepages", tmp_path / "kept")  # the process is killed here …
    assert not (tmp_path / "nr_hugepages").exists()
    os.replace(tmp_path / "kept", tmp_path / "nr_hugepages")
    hugepages.put_back(tmp_path)  # … and the next start finds the note
    assert hugepages.POOL.read_text() == before
    assert list(tmp_path.iterdir()) == []

"""perf_event_open for a cgroup: what its processes do is counted, what others do is not."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.lab.hiddenmount import HiddenMount
from minidock.libcontainer.cgroups import hierarchies
from minidock.libcontainer.cgroups.hierarchy import remove_tree, unified
from minidock.linux import perf
from tests.conftest import needs

PAGES, SIZE = 2048, os.sysconf("SC_PAGE_SIZE")
TOUCH = f"import mmap\nmemory = mmap.mmap(-1, {PAGES * SIZE})\nfor page in range({PAGES}): memory[page * {SIZE}] = 1"


@pytest.fixture
def group() -> Iterator[Path]:
    """A cgroup of the perf_event hierarchy: in the unified tree on v2, in one mounted for us on v1."""
    needs("root")
    tree = unified(hierarchies())
    if tree:
        made = Path(tree.mountpoint, "lab97-perf")
        made.mkdir()
        yield made
        remove_tree(str(made))
        return
    with HiddenMount("perf_event", "lab97") as hidden:
        made = hidden.path / "lab97-perf"
        made.mkdir()
        yield made


def faults(group: Path, *, inside: bool) -> int:
    directory = os.open(group, os.O_RDONLY | os.O_DIRECTORY)
    counters = [perf.count_cgroup(perf.PAGE_FAULTS, directory, cpu) for cpu in sorted(os.sched_getaffinity(0))]
    try:
        join = f"echo $$ > {group}/cgroup.procs;" if inside else ""
        subprocess.run(["sh", "-c", f'{join} exec "$@"', "sh", sys.executable, "-c", TOUCH], check=True)
        return sum(int.from_bytes(os.read(fd, 8), sys.byteorder) for fd in counters)
    finally:
        for fd in (*counters, directory):
            os.close(fd)


def test_only_the_groups_faults_are_counted(group: Path) -> None:
    assert faults(group, inside=True) >= PAGES
    assert faults(group, inside=False) == 0


def test_a_directory_that_is_no_cgroup(tmp_path: Path) -> None:
    needs("root")
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError) as raised:
            perf.count_cgroup(perf.PAGE_FAULTS, directory, 0)
        assert raised.value.errno == errno.EBADF
    finally:
        os.close(directory)

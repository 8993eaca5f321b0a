"""The locks of the machine: what measures is alone, of one name there is one, and nobody waits for ever."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import locks

CHECKOUT = Path(__file__).resolve().parents[2]
OTHER = """
import sys
from pathlib import Path
from tests.locks import Locks
folder, alone, names = sys.argv[1], sys.argv[2] == "alone", frozenset(sys.argv[3:])
with Locks(Path(folder)).around(names, alone=alone):
    print("in", flush=True)
    sys.stdin.read()
"""


class Other:
    """Another process that wants locks, and keeps them until it is let go."""

    def __init__(self, folder: Path, how: str, *names: str) -> None:
        command = [sys.executable, "-c", OTHER, str(folder), how, *names]
        self.process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout
        self.stdout = self.process.stdout

    def wait_until_in(self) -> None:
        assert self.stdout.readline() == b"in\n"

    def waits(self, folder: Path, file: str) -> bool:
        """Whether it is in the kernel's list of those that wait for the lock `file` (proc_locks(5): "->")."""
        inode = (folder / file).stat().st_ino
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return any(f[1] == "->" and int(f[5]) == self.process.pid and f[6].endswith(f":{inode}") for f in lines if len(f) > 6)

    def let_go(self) -> None:
        self.process.communicate()


@contextmanager
def others(*these: Other) -> Iterator[None]:
    try:
        yield
    finally:
        for other in these:
            other.process.kill()
            other.process.communicate()


@pytest.fixture(autouse=True)
def not_within_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started here takes locks, though it is started by a test."""
    monkeypatch.delenv(locks.ABOVE, raising=False)


def until_waiting(other: Other, folder: Path, file: str) -> None:
    while not other.waits(folder, file):
        assert other.process.poll() is None


def test_plain_tests_run_beside_each_other_and_not_beside_one_that_measures(tmp_path: Path) -> None:
    one, two = Other(tmp_path, "beside"), Other(tmp_path, "beside")
    one.wait_until_in()
    two.wait_until_in()
    measuring = Other(tmp_path, "alone")
    with others(one, two, measuring):
        until_waiting(measuring, tmp_path, "quiet")
        late = Other(tmp_path, "beside")
        with others(late):
            until_waiting(late, tmp_path, "turnstile")  # it does not slip past the one that waits
            one.let_go()
            two.let_go()
            measuring.wait_until_in()
            assert late.waits(tmp_path, "turnstile") or late.waits(tmp_path, "quiet")
            measuring.let_go()
            late.wait_until_in()


def test_of_one_name_there_is_one(tmp_path: Path) -> None:
    one = Other(tmp_path, "beside", "chapter-03")
    one.wait_until_in()
    second, other = Other(tmp_path, "beside", "chapter-03"), Other(tmp_path, "beside", "chapter-04")
    with others(one, second, other):
        other.wait_until_in()
        until_waiting(second, tmp_path, "chapter-03.only")
        one.process.kill()  # a killed process holds nothing
        second.wait_until_in()


def test_a_name_is_kept_for_the_next_test_that_wants_it(tmp_path: Path) -> None:
    mine, name = locks.Locks(tmp_path), frozenset({"page"})
    with mine.around(name, alone=False, after=name):
        pass
    second = Other(tmp_path, "alone", "page")
    with others(second):
        until_waiting(second, tmp_path, "page.only")
        with mine.around(name, alone=True):
            pass
        second.wait_until_in()


def test_a_run_within_a_test_waits_for_nothing(tmp_path: Path) -> None:
    """Its test holds the lock already, and somebody may wait for it."""
    with locks.Locks(tmp_path).around(frozenset({"x"}), alone=True), locks.Locks(tmp_path).around(frozenset({"x"}), alone=True):
        pass

"""The comparison that closes a run: the whole machine before and after, to catch what has lost its label.

Several runs may go on at once, in this checkout or in another; what one does the other must not be blamed for. ::

    /run/lock/minidock-tests/
      lock               held while somebody comes or goes
      before.json        the machine as the first of the runs that now go on has found it
      <pid>-<ns>.run     one for each run; the run holds its lock, so a dead one's can be told

The first run writes ``before.json``; who comes later keeps it. Each run looks, at its end, for what still carries the label of
one of its own instances. The last one to go also compares the whole machine: nobody else's test is going on then, and what is
there, was not before and carries no label was left by one of the runs. What carries the label of an instance of which no test
knows (a learner's, a bench's) is none of our business.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests import leaks

FOLDER = Path("/run/lock/minidock-tests")
VARIABLE = "MINIDOCK_TEST_RUN"  # in the environment of all that a run starts
# What is nobody's in the comparison: what a process has, and what bears the label of somebody who looks after it.
_SOMEBODYS = re.compile(rf"{leaks.INSTANCE.pattern}|{leaks.LABEL}.*|/tmp/pytest-.*")


class Run:
    """One run of pytest, from `Run(folder)` to `end`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder = folder or FOLDER
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.mark = f"{os.getpid()}-{time.time_ns()}"
        self.name = f"{self.mark}.run"
        with self._alone():
            if not self._others():
                _write(self._before, _unlabeled())
            self._held = _lock(folder / self.name, fcntl.LOCK_EX)

    @property
    def _before(self) -> Path:
        return self.folder / "before.json"

    def end(self, names: Iterable[str], folders: Iterable[str] = (), patience: float = leaks.PATIENCE) -> list[str]:
        """Sign off. Returns what is left of the instances and labels `names`, below `folders` and of our processes; from the
        last run also what is on the machine, was not before any of the runs, and bears no label. `patience` in seconds."""
        patterns = [
            *(re.escape(n) + ("(-.*)?" if n.startswith(leaks.LABEL) else "") for n in names),
            *(f"{re.escape(f)}/.*" for f in folders),
        ]
        own = re.compile("|".join(patterns) or "(?!)")
        with self._alone():
            left = _steady(lambda: {i for i in _lasting() if own.fullmatch(i.owner)} | _processes(self.mark), patience)
            os.close(self._held)
            (self.folder / self.name).unlink()
            if not self._others():
                before = {leaks.Item(*item) for item in json.loads(self._before.read_text())}
                left += _steady(lambda: _unlabeled() - before, patience)
        return left

    def _others(self) -> list[Path]:
        """The runs that go on; what dead ones have left is taken away."""
        return [path for path in self.folder.glob("*.run") if not _dead(path)]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fd = _lock(self.folder / "lock", fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(fd)


def _lasting() -> set[leaks.Item]:
    """All on the machine that outlives the process that looks."""
    return {item for item in leaks.everything() if item.kind != "descriptor"}


def _unlabeled() -> set[leaks.Item]:
    """What carries nobody's label."""
    return {item for item in _lasting() if not _SOMEBODYS.fullmatch(item.owner)}


def _steady(look: Callable[[], set[leaks.Item]], patience: float) -> list[str]:
    """What `look` finds each time, for `patience` s: what comes and goes is somebody's, at work."""
    deadline, left = time.monotonic() + patience, look()
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left &= look()
    return sorted(map(str, left))


def _processes(mark: str) -> set[leaks.Item]:
    """Processes that have the mark in their environment and are neither we nor above us."""
    found, family = set(), _family()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in family:
            with suppress(OSError):
                if f"{VARIABLE}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(leaks.Item("process", f"{entry.name} {(entry / 'comm').read_text().strip()}", mark))
    return found


def _family() -> set[int]:
    """This process and those above it."""
    pids, pid = set(), os.getpid()
    while pid:
        pids.add(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pids


def _write(path: Path, items: Iterable[leaks.Item]) -> None:
    path.write_text(json.dumps(sorted(items)))


def _lock(path: Path, how: int) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(fd, how)
    return fd


def _dead(path: Path) -> bool:
    """Whether nobody holds the file's lock; then it is taken away."""
    with suppress(FileNotFoundError):
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
    return True

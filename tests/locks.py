"""What only one test of the whole machine may do at a time: across workers, runs and checkouts.

Each lock is a file in ``/run/lock/minidock-tests``, held by flock(2), so that a killed process holds none.

* ``only_one(NAME)``: no two tests with this mark and NAME run at once. A chapter's marks (its scratch folder, the names of its
  links and cgroups) are the same in every checkout: its tests hold "chapter-NN".
* ``measuring``: nothing else runs beside it. Every other test holds the lock ``quiet`` shared, a measuring one exclusively. Who
  wants ``quiet`` passes the ``turnstile`` first, and keeps it until it has it: a measuring test that waits lets nobody past, so
  it waits for the tests that run already, and no longer.

A test takes its locks before its fixtures and outside of its timeout; named ones are kept for the next test if it wants the
same. Named ones come first, in the order of their names, and ``quiet`` last: who has it waits for nothing, so all get on.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.closing import FOLDER

ABOVE = "MINIDOCK_TEST_LOCKS"  # in the environment of what a test starts: a pytest within a test is part of that test


class Locks:
    """The locks of one process that runs tests."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._names: frozenset[str] = frozenset()
        self._kept = ExitStack()

    @contextmanager
    def around(self, names: frozenset[str], *, alone: bool, after: frozenset[str] = frozenset()) -> Iterator[None]:
        """Hold `names`, and ``quiet``: exclusively if `alone`. `after` is what the next test wants held."""
        if ABOVE in os.environ:
            yield
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if names != self._names:
            self._let_go()
            for name in sorted(names):
                self._kept.enter_context(self._flock(f"{name}.only", fcntl.LOCK_EX))
            self._names = names
        with ExitStack() as stack:
            with self._flock("turnstile", fcntl.LOCK_EX):
                stack.enter_context(self._flock("quiet", fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
            os.environ[ABOVE] = "held"
            stack.callback(os.environ.__delitem__, ABOVE)
            yield
        if after != names:
            self._let_go()

    def _let_go(self) -> None:
        self._kept.close()
        self._names = frozenset()

    @contextmanager
    def _flock(self, name: str, how: int) -> Iterator[None]:
        fd = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, how)
            yield
        finally:
            os.close(fd)

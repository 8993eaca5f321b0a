"""Half-made things live in ``ROOT/tmp``, in a directory whose owner is known to be alive or dead.

::

    tmp/<name>.lock     flocked as long as the process that made it lives: the kernel frees it, even after SIGKILL
    tmp/<name>/         what that process is making or taking apart

Everything that must appear at once is made here and renamed into place; everything that must vanish at once is renamed to
here and then deleted. So a reader of the state directory never sees half a thing, and `sweep` can delete what a dead
process left, by trying its lock, without guessing from ages.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from minidock.graphdriver.tree import remove_tree
from minidock.linux import mount
from minidock.linux.files import spread


class Scratch:
    """This process's directory under `tmp` (``ROOT/tmp``), made on first use. Get it with `of`. Safe with threads; a forked
    child makes its own."""

    _all: ClassVar[dict[str, Scratch]] = {}

    @classmethod
    def of(cls, tmp: str | os.PathLike[str]) -> Scratch:
        """This process's scratch directory under `tmp`, shared by all who ask."""
        return cls._all.setdefault(os.path.abspath(tmp), cls(tmp))

    def __init__(self, tmp: str | os.PathLike[str]) -> None:
        self._tmp = os.fspath(tmp)
        self._guard = threading.Lock()
        self._count = itertools.count()
        self._pid = 0
        self._lock_fd = -1
        self._path = ""

    @property
    def path(self) -> str:
        """The directory, with its lock held."""
        if self._pid != os.getpid():
            with self._guard:
                if self._pid != os.getpid():
                    self._open()
        return self._path

    def _open(self) -> None:
        """Make the lock file, lock it, and only then the directory: a sweeper may come in between at any point."""
        if self._lock_fd >= 0:  # inherited by fork: the parent's, and closing our copy leaves the parent's lock alone
            os.close(self._lock_fd)
        os.makedirs(self._tmp, mode=0o700, exist_ok=True)
        while True:
            path = os.path.join(self._tmp, f"{os.getpid()}-{os.urandom(4).hex()}")
            fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                break
            os.close(fd)  # swept between open and flock
        os.mkdir(path, 0o700)
        spread(path)
        self._path, self._lock_fd, self._pid = path, fd, os.getpid()

    def name(self, stem: str) -> str:
        """A path in the directory that no one else uses; nothing is made there."""
        return os.path.join(self.path, f"{stem}.{next(self._count)}")

    @contextmanager
    def directory(self, stem: str) -> Iterator[Path]:
        """A fresh directory (mode 0700) for the time of a ``with``. What is still in it at the end is deleted."""
        path = self.name(stem)
        os.mkdir(path, 0o700)
        try:
            yield Path(path)
        finally:
            self.discard(path)

    def discard(self, path: str) -> None:
        """Delete the tree `path` (renamed out of sight first when it lies elsewhere). Nothing there is fine."""
        grave = self.name("removed")
        try:
            os.rename(path, grave)
        except FileNotFoundError:
            return
        remove_tree(grave)

    def close(self) -> None:
        """Delete the directory, unless somebody in this process has something in it; it is made again when needed."""
        with self._guard:
            if self._pid != os.getpid():
                return
            try:
                os.rmdir(self._path)
            except OSError as e:
                if e.errno == errno.ENOTEMPTY:
                    return
                raise
            os.unlink(f"{self._path}.lock")
            os.close(self._lock_fd)
            self._pid, self._lock_fd = 0, -1

    @contextmanager
    def dead(self) -> Iterator[list[str]]:
        """The directories of processes that died, locked for us for the time of the ``with`` and deleted at its end."""
        held: list[tuple[str, int]] = []
        try:
            for name in sorted(os.listdir(self._tmp)) if os.path.isdir(self._tmp) else ():
                if name.endswith(".lock"):
                    path = os.path.join(self._tmp, name)
                    if (fd := _try_lock(path)) >= 0:
                        held.append((path, fd))
            yield [path.removesuffix(".lock") for path, _fd in held]
            for path, _fd in held:
                if os.path.isdir(path.removesuffix(".lock")):
                    _unmount_below(path.removesuffix(".lock"))
                    remove_tree(path.removesuffix(".lock"))
                os.unlink(path)
        finally:
            for _path, fd in held:
                os.close(fd)


def _unmount_below(path: str) -> None:
    """Take away what was mounted there when its owner was killed (only kernels before 6.5: see detached.py)."""
    with open("/proc/self/mountinfo", "rb") as file:
        points = [line.split()[4].decode("unicode_escape").encode("latin-1") for line in file]
    for point in reversed(points):
        if point.startswith(os.fsencode(path) + b"/"):
            mount.umount(os.fsdecode(point), mount.MNT_DETACH)


def _try_lock(path: str) -> int:
    """A descriptor that holds the lock of a dead owner; -1 if the owner lives or another sweeper was faster."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return -1
    if not os.fstat(fd).st_nlink:
        os.close(fd)
        return -1
    return fd

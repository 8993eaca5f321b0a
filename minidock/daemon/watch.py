"""Sleep until something changes in a container's folder (inotify(7)), instead of looking again and again.

root too has only 128 inotify instances (fs.inotify.max_user_instances), so one is made only while somebody waits; when none
is left the wait falls back to looking every 50 ms.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minidock.linux import inotify

_FALLBACK = 0.05  # seconds


class Watch:
    """Changes in one folder. `wait` returns when something has happened since the last call."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        self._poll = select.poll()
        if fd is not None:
            self._poll.register(fd, select.POLLIN)

    def wait(self, timeout: float | None = None) -> None:
        """Return at the next change, at the latest after `timeout` seconds; possibly for nothing."""
        if self._fd is None:
            self._poll.poll(min(_FALLBACK, timeout if timeout is not None else _FALLBACK) * 1000)
        elif self._poll.poll(None if timeout is None else timeout * 1000):
            os.read(self._fd, 1 << 16)


@contextmanager
def watch(directory: Path) -> Iterator[Watch]:
    """Watch `directory` for the time of a ``with``. A change after the begin of the ``with`` is never missed."""
    try:
        fd = inotify.inotify_init1()
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        yield Watch(None)
        return
    try:
        try:
            inotify.inotify_add_watch(fd, directory, inotify.CHANGES)
        except FileNotFoundError:
            yield Watch(None)  # the caller will see that it has gone
            return
        yield Watch(fd)
    finally:
        os.close(fd)

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
from typing import Protocol

from minidock.linux import inotify

_FALLBACK = 0.05  # seconds


class Stop(Protocol):
    """Something to poll(2) for: an eventfd, a socket, a pipe's end."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...


class Watch:
    """Changes in one folder. `wait` returns when something has happened since the last call.

    `stop` becomes readable when nobody wants to wait any more: `stopped` is true from then on.
    """

    def __init__(self, fd: int | None, stop: Stop | None = None) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._stop = -1 if stop is None else stop.fileno()
        self.stopped = False
        for readable in (fd, stop):
            if readable is not None:
                self._poll.register(readable, select.POLLIN)

    def wait(self, timeout: float | None = None) -> None:
        """Return at the next change, at the latest after `timeout` seconds; possibly for nothing."""
        if self._fd is None:
            timeout = _FALLBACK if timeout is None else min(_FALLBACK, timeout)
        for readable, _events in self._poll.poll(None if timeout is None else timeout * 1000):
            if readable == self._stop:
                self.stopped = True
            else:
                os.read(readable, 1 << 16)


@contextmanager
def watch(directory: Path, stop: Stop | None = None) -> Iterator[Watch]:
    """Watch `directory` for the time of a ``with``. A change after the begin of the ``with`` is never missed."""
    try:
        fd = inotify.inotify_init1()
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        yield Watch(None, stop)
        return
    try:
        try:
            inotify.inotify_add_watch(fd, directory, inotify.CHANGES)
        except FileNotFoundError:
            yield Watch(None, stop)  # the caller will see that it has gone
            return
        yield Watch(fd, stop)
    finally:
        os.close(fd)

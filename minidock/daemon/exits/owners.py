"""Exits that this process looks after: while it lives, what is due after an exit costs no new Python process.

For each container that this engine started there is one thread, asleep in `Running.wait`. When the exit comes it does what
``after_exit.py`` says and releases the shim. When this process ends first, however it ends, the connection breaks, and the
shim, without an owner now, execs the after-exit entry itself: nothing depends on these threads.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from minidock.daemon.exits import after_exit
from minidock.errors import SystemFault
from minidock.shim.protocol import Closed

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.execdriver import Exit, Running

_REMEMBERED = 1024  # exits, for who asks late


class Exits:
    """The containers whose exits this process owns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._watched: dict[threading.Thread, Running] = {}
        self._ended: dict[str, Exit] = {}  # the newest last
        self._closing = False
        self._closed = os.eventfd(0, os.EFD_CLOEXEC)  # readable from `close` on

    @contextmanager
    def watcher(self, id: str) -> Iterator[Callable[[int, Running], None]]:
        """A thread for the exit of container `id`, made before the start: when there is no memory for one, nothing has been
        started yet. Yields what to call with the run's number and its `Running`. Raises SystemFault.
        """
        decided = threading.Event()
        work: list[tuple[int, Running]] = []

        def serve() -> None:
            decided.wait()
            for run, running in work:
                self._look_after(id, run, running)

        thread = threading.Thread(target=serve, name=f"exit-{id[:12]}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # Python's word for pthread_create(3) without memory
            raise SystemFault("start a thread", errno=errno.ENOMEM) from error

        def watch(run: int, running: Running) -> None:
            with self._lock:
                self._watched[thread] = running
            work.append((run, running))

        try:
            yield watch
        finally:
            decided.set()  # after a start that failed there is nothing to watch

    def _look_after(self, id: str, run: int, running: Running) -> None:
        try:
            try:
                ended = running.wait()
            except (Closed, OSError):
                return
            if self._closing:
                return  # it was we who hung up
            self._note(id, ended)
            after_exit.after_exit(self._engine, id, run, self._closed)
            if not self._closing:
                running.release()
        except SystemFault as error:
            # Nobody called us, so nobody can be told; the shim, not released, tries once more by itself.
            print(f"after exit of {id}: {error}", file=sys.stderr)  # noqa: T201
        finally:
            running.close()
            with self._lock:
                self._watched.pop(threading.current_thread(), None)
            if not self._closing:
                self._engine.links.close()  # this thread's connection

    def _note(self, id: str, ended: Exit) -> None:
        with self._lock:
            self._ended[id] = ended
            if len(self._ended) > _REMEMBERED:
                del self._ended[next(iter(self._ended))]

    def ended(self, id: str) -> Exit | None:
        """How the last run of container `id` ended, if we looked after it: also when the container is gone since (--rm)."""
        with self._lock:
            return self._ended.get(id)

    def close(self) -> None:
        """Hang up on all shims; each looks after itself from now on, also after what a thread of ours has only begun.

        Repeatable: a descriptor closed twice would by then be another file's.
        """
        with self._lock:
            if self._closing:
                return
            self._closing = True
            watched = dict(self._watched)
        os.eventfd_write(self._closed, 1)
        for running in watched.values():
            running.hang_up()
        for thread in watched:
            thread.join()
        os.close(self._closed)

"""Exits that this process looks after: while it lives, what is due after an exit costs no new Python process.

For each container that this engine started there is one thread, asleep in `Exits.finish`; whoever waits for the end anyway
(``run``) calls that itself, and needs none. When this process ends first, however it ends, the connection breaks, and the shim,
without an owner now, executes the after-exit entry itself: nothing depends on these threads.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from minidock.daemon.exits.due import after_exit
from minidock.errors import SystemFault

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.record.container import Container
    from minidock.execdriver import Exit, Running

_REMEMBERED = 1024  # exits, for who asks late


class Owned(NamedTuple):
    """Run number `run` (counted from 1) of container `id`, whose exit is ours to look after; `running` is the connection."""

    id: str
    run: int
    running: Running


class Exits:
    """The containers whose exits this process owns. `start` is ``containers.start.start_locked``, for a restart."""

    def __init__(self, engine: Engine, start: Callable[[Engine, Container], Owned]) -> None:
        self._engine, self.start = engine, start
        self._lock = threading.Lock()
        self._watched: dict[threading.Thread, Owned] = {}
        self._ended: dict[str, Exit] = {}  # the newest last
        self._closing = False
        self._closed = os.eventfd(0, os.EFD_CLOEXEC)  # readable from `close` on

    @contextmanager
    def watcher(self, id: str) -> Iterator[Callable[[Owned], None]]:
        """A thread for the exit of container `id`, made before the start: when there is no memory for one, nothing has been
        started yet. Yields what to give the `Owned` to. Raises SystemFault.
        """
        decided = threading.Event()
        work: list[Owned] = []

        def serve() -> None:
            decided.wait()
            for owned in work:
                self._look_after(owned)

        thread = threading.Thread(target=serve, name=f"exit-{id[:12]}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # Python's word for pthread_create(3) without memory
            raise SystemFault("start a thread", errno=errno.ENOMEM) from error

        def watch(owned: Owned) -> None:
            with self._lock:
                self._watched[thread] = owned
            work.append(owned)

        try:
            yield watch
        finally:
            decided.set()  # after a start that failed there is nothing to watch

    def finish(self, owned: Owned, timeout: float | None = None) -> Exit:
        """Wait for the exit, do what is due, and let the shim go. Raises SystemFault, TimeoutError after `timeout` seconds."""
        ended = owned.running.wait(timeout)
        if not self._closing:  # else it was we who hung up
            self._note(owned.id, ended)
            after_exit(self._engine, owned.id, owned.run, self._closed)
        if not self._closing:
            owned.running.release()
        return ended

    def _look_after(self, owned: Owned) -> None:
        try:
            self.finish(owned)
        except SystemFault as error:
            # Nobody called us, so nobody can be told; the shim, not released, tries once more by itself.
            print(f"after exit of {owned.id}: {error}", file=sys.stderr)  # noqa: T201
        finally:
            owned.running.close()
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

    def join(self, id: str) -> Exit | None:
        """`ended`, when all that is due has been done: waits as long as a thread of ours looks after container `id`."""
        while True:
            with self._lock:
                threads = [thread for thread, owned in self._watched.items() if owned.id == id]
            if not threads:
                return self.ended(id)
            threads[0].join()

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
        for owned in watched.values():
            owned.running.hang_up()
        for thread in watched:
            thread.join()
        os.close(self._closed)

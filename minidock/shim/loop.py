"""The shim's event loop: poll(2) and a table of handlers. A process that sleeps for days should own no more than that."""

from __future__ import annotations

import select
from collections.abc import Callable

IN, OUT, HUP = select.POLLIN, select.POLLOUT, select.POLLHUP | select.POLLERR
Handler = Callable[[int], None]


class Loop:
    """Watches descriptors; `turn` waits for one round of events and calls the handlers with the event mask.

    Handlers must not block, and must bear a call for nothing (a descriptor closed and opened anew within one round).
    """

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Handler] = {}

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Call `handler` when any of `events` (or a hang-up) is seen on `fd`. Replaces an earlier watch."""
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Watch `fd` no longer; to be called before it is closed. Idempotent."""
        if self._handlers.pop(fd, None):
            self._poll.unregister(fd)

    def turn(self) -> None:
        """Wait until something happens and handle it."""
        for fd, events in self._poll.poll():
            handler = self._handlers.get(fd)
            if handler:
                handler(events)

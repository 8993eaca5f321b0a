"""The shim's event loop: poll(2) and a table of handlers. A process that sleeps for days should own no more than that."""

from __future__ import annotations

import select
import time
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
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def watch(self, fd: int, events: int, handler: Handler) -> None:
        """Call `handler` when any of `events` (or a hang-up) is seen on `fd`. Replaces an earlier watch."""
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Watch `fd` no longer; to be called before it is closed. Idempotent."""
        if self._handlers.pop(fd, None):
            self._poll.unregister(fd)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once, when so much time has passed (or a little more)."""
        self._timers.append((time.monotonic() + seconds, call))

    def turn(self) -> None:
        """Wait until something happens and handle it."""
        left = min(due for due, _ in self._timers) - time.monotonic() if self._timers else None
        for fd, events in self._poll.poll(None if left is None else max(0.0, left) * 1000 + 1):
            handler = self._handlers.get(fd)
            if handler:
                handler(events)
        if self._timers:
            now = time.monotonic()
            due = [call for at, call in self._timers if at <= now]
            self._timers = [(at, call) for at, call in self._timers if at > now]
            for call in due:
                call()

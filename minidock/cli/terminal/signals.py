"""Our signals, handed on: SIGWINCH as a new window size, the others (``--sig-proxy``) to the container's first process.

A Python signal handler runs between two byte codes of the main thread. Were it to call the engine while the main thread is in
the middle of such a call, it could wait for a lock that the main thread holds, for ever. So a signal is only noted as long as
the proxy is not `armed`; armed means: the main thread sits in poll(2) or waits for the exit, and holds nothing. Notes
made meanwhile are handed on then. A handler that is interrupted by another signal leaves the second one to itself.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from minidock.cli import failures

# Those that mean something to us alone, are about our own faults, or cannot be caught.
_NOT_FORWARDED = {
    *("SIGKILL", "SIGSTOP", "SIGCHLD", "SIGPIPE", "SIGURG", "SIGWINCH", "SIGTTIN", "SIGTTOU"),
    *("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS", "SIGABRT", "SIGXCPU", "SIGXFSZ", "SIGPROF", "SIGVTALRM"),
}
FORWARDED = tuple(s for s in signal.Signals if s.name not in _NOT_FORWARDED and s < signal.SIGRTMIN)
GIVE_UP_AFTER = 3


class Proxy:
    """Calls `handle(signal)` for each of `numbers` inside the ``with``, once `arm` was called."""

    def __init__(self, numbers: tuple[signal.Signals, ...], handle: Callable[[signal.Signals], None]) -> None:
        self._numbers, self._handle = numbers, handle
        self._noted: deque[signal.Signals] = deque()
        self._armed = self._busy = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Proxy:
        for number in self._numbers:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """The main thread holds nothing inside this ``with``: signals are handed on as they come."""
        self._armed = True
        self._hand_on()
        try:
            yield
        finally:
            self._armed = False

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._noted.append(signal.Signals(number))
        self._hand_on()

    def _hand_on(self) -> None:
        if not self._armed or self._busy:
            return
        self._busy = True
        try:
            while self._noted:
                # the container may just have ended; then there is nobody to tell
                with suppress(*failures.caught()):
                    self._handle(self._noted.popleft())
        finally:
            self._busy = False

"""Attach streams for containers that do not run yet.

docker's clients attach before they start, so that not a byte of output is lost. There is no shim then: the engine makes a
socketpair, gives the client one end and keeps the other until `start` hands it to the shim.
"""

from __future__ import annotations

import socket
import threading
from typing import NamedTuple


class Attachment(NamedTuple):
    """The shim's end of one attach stream, and what the client asked for."""

    sock: socket.socket
    stdin: bool = True
    stdout: bool = True
    stderr: bool = True
    detach_keys: str = ""

    def streams(self) -> tuple[str, ...]:
        """The names of the streams it wants."""
        wanted = (("stdin", self.stdin), ("stdout", self.stdout), ("stderr", self.stderr))
        return tuple(name for name, on in wanted if on)


class Pending:
    """The attach streams this process keeps, by container id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Attachment] = {}

    def add(self, id: str, attachment: Attachment) -> bool:
        """Keep a stream for container `id`. False if there is one already (the later client attaches after the start)."""
        with self._lock:
            if id in self._waiting:
                return False
            self._waiting[id] = attachment
            return True

    def take(self, id: str) -> Attachment | None:
        """The stream that waits for container `id`, now the caller's."""
        with self._lock:
            return self._waiting.pop(id, None)

    def close(self) -> None:
        """Hang up on all clients that still wait."""
        with self._lock:
            for attachment in self._waiting.values():
                attachment.sock.close()
            self._waiting.clear()

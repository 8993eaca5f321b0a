"""Connections that speak messages, read as the bytes come in: a peer that stops in the middle of one stalls nobody."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from minidock.shim import protocol
from minidock.shim.loop import IN, Loop

_LENGTH_SIZE = 4
_MAX_REQUEST = 1 << 16


class Peer:
    """One connection. `heard(peer, message)` is called for each whole message, and with None when the peer has hung up.

    `role` is the shim's: what this peer is waiting for ("" until its first message, then "waiter" or "owner").
    """

    def __init__(self, loop: Loop, sock: socket.socket, heard: Callable[[Peer, dict[str, Any] | None], None]) -> None:
        sock.setblocking(False)
        self._loop, self._sock, self._heard = loop, sock, heard
        self._buffer = b""
        self.role = ""
        loop.watch(sock.fileno(), IN, self._readable)

    def _readable(self, _events: int) -> None:
        """Read no further than the message at hand: after an attach request the bytes that follow are stdin."""
        size = int.from_bytes(self._buffer[:_LENGTH_SIZE], "big") if len(self._buffer) >= _LENGTH_SIZE else 0
        missing = _LENGTH_SIZE + size - len(self._buffer)
        try:
            data = self._sock.recv(missing)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._buffer += data
        if len(self._buffer) == _LENGTH_SIZE:
            size = int.from_bytes(self._buffer, "big")
        if not data or size > _MAX_REQUEST:
            self.close()
            self._heard(self, None)
        elif len(self._buffer) > _LENGTH_SIZE and len(self._buffer) == _LENGTH_SIZE + size:
            text, self._buffer = self._buffer[_LENGTH_SIZE:], b""
            self._dispatch(text)

    def _dispatch(self, text: bytes) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            message = {}
        self._heard(self, message if isinstance(message, dict) else {})

    def tell(self, message: dict[str, Any]) -> bool:
        """Send `message` if the peer is still there to take it. Messages are small: the socket's buffer holds them."""
        with suppress(OSError):
            protocol.send(self._sock, message)
            return True
        return False

    def hand_over(self) -> socket.socket:
        """Give up the socket: it is about to carry something else than messages."""
        self._loop.forget(self._sock.fileno())
        return self._sock

    def close(self) -> None:
        """Hang up. Idempotent."""
        if self._sock.fileno() >= 0:
            self._loop.forget(self._sock.fileno())
            self._sock.close()

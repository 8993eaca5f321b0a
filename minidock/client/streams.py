"""A container's output on its way to the caller: docker's hijacked stream taken apart, and streams that can be cancelled.

An attach or an exec gives one unix socket. With a terminal it carries raw bytes; without, frames of an 8-byte header (stream 1
stdout or 2 stderr, three zero bytes, big-endian length) and a payload. What is sent goes to the process's stdin; a half-close
(``shutdown(SHUT_WR)``) is its end of file. Source: Engine API 1.41, ``POST /containers/{id}/attach``, "Stream format".
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

STDOUT, STDERR = 1, 2
CHUNK = 32 << 10
_FRAME = struct.Struct(">BxxxI")
Demuxed = tuple[bytes | None, bytes | None]


def frames(sock: socket.socket, tty: bool) -> Iterator[tuple[int, bytes]]:
    """(stream, bytes) pairs until the other side closes, then closes `sock`. With a terminal all of it is stdout."""
    with sock:
        while header := _read(sock, CHUNK if tty else 8, exactly=not tty):
            if tty:
                yield STDOUT, header
                continue
            stream, left = _FRAME.unpack(header)
            while left and (data := _read(sock, min(left, CHUNK))):
                left -= len(data)
                yield stream, data


def _read(sock: socket.socket, size: int, exactly: bool = False) -> bytes:
    """At most (or, with `exactly`, just) `size` bytes; b"" at the end of the stream, which may come as a reset."""
    data = b""
    try:
        while part := sock.recv(size - len(data)):
            data += part
            if len(data) == size or not exactly:
                return data
    except ConnectionResetError:
        return b""
    return b""


def output(pairs: Iterator[tuple[int, bytes]], demux: bool) -> Iterator[Any]:
    """Bytes as they come, or with `demux` docker-py's ``(stdout, None)`` and ``(None, stderr)`` tuples."""
    for stream, data in pairs:
        if demux:
            yield (None, data) if stream == STDERR else (data, None)
        else:
            yield data


def collect(pairs: Iterator[tuple[int, bytes]], demux: bool) -> bytes | Demuxed:
    """All of it: one bytes, or with `demux` (stdout, stderr), each None if nothing came on it."""
    parts: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
    if not demux:
        return b"".join(data for _, data in pairs)
    for stream, data in pairs:
        parts[STDERR if stream == STDERR else STDOUT].append(data)
    out, err = (b"".join(parts[s]) if parts[s] else None for s in (STDOUT, STDERR))
    return out, err


def raw_socket(sock: socket.socket) -> socket.SocketIO:
    """What docker-py's ``attach_socket`` and ``exec_start(socket=True)`` return: a raw file whose ``_sock`` is the socket.

    The file owns the descriptor: closing it closes the socket.
    """
    raw = sock.makefile("rwb", buffering=0)
    sock.close()  # only marks it: the descriptor lives as long as the file
    return raw


class StopSwitch:
    """Something to poll(2) for that `press` makes readable: an eventfd(2), made when it is first asked for its number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fd = -1
        self._pressed = False

    def fileno(self) -> int:
        """The descriptor; it stays until `close`."""
        with self._lock:
            if self._fd < 0:
                self._fd = os.eventfd(int(self._pressed), os.EFD_CLOEXEC)
            return self._fd

    def press(self) -> None:
        """Make it readable, for good. Safe from any thread, and after `close`."""
        with self._lock:
            self._pressed = True
            if self._fd >= 0:
                os.eventfd_write(self._fd, 1)

    def close(self) -> None:
        """Close the descriptor, if there is one."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1


class CancellableStream:
    """An iterator that another thread, or a signal handler, can end with `close` (docker.types.daemon)."""

    def __init__(self, items: Iterator[Any], cancel: Callable[[], None]) -> None:
        self._items = items
        self._cancel = cancel

    @classmethod
    def over_socket(cls, sock: socket.socket, tty: bool, demux: bool) -> CancellableStream:
        """The output that comes over `sock`; `close` shuts it down, which wakes a blocked reader."""

        def cancel() -> None:
            with suppress(OSError):  # the reader saw the end and closed it first
                sock.shutdown(socket.SHUT_RDWR)

        return cls(output(frames(sock, tty), demux), cancel)

    @classmethod
    def over_entries(cls, pairs: Iterator[tuple[int, bytes]], switch: StopSwitch) -> CancellableStream:
        """The entries of a log that is read until `switch` is pressed; `close` presses it, which wakes a blocked reader."""

        def items() -> Iterator[bytes]:
            with closing(switch):
                yield from output(pairs, demux=False)

        return cls(items(), switch.press)

    def __iter__(self) -> CancellableStream:
        return self

    def __next__(self) -> Any:
        return next(self._items)

    next = __next__

    def close(self) -> None:
        """End the stream. Safe to repeat."""
        self._cancel()

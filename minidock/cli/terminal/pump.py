"""Moves bytes between our descriptors and an attach stream, in one thread, until the output ends or the user detaches.

Why a loop with poll(2) and not two copies in two threads: ``producer | minidock run -i IMAGE cat | consumer`` must not stand
still when the process reads no more because nobody took its output. So nothing here blocks but writing to our own stdout:
what the socket does not take at once waits in `pending`, and as long as something waits, no more is read from stdin.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from typing import Protocol

from minidock.cli.streams import write_all

CHUNK = 64 << 10
STDERR_STREAM = 2
_FRAME = struct.Struct(">BxxxI")


class KeyScanner(Protocol):
    """Finds the detach keys (``shim.detach.Scanner``)."""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(what may pass, whether the sequence was typed)."""
        ...

    def flush(self) -> bytes:
        """What was held back."""
        ...


class Demultiplexer:
    """Takes docker's 8-byte frames apart: `feed` gives (descriptor, bytes) pairs as soon as their bytes are there.

    A stream whose descriptor is None was not asked for, and is dropped should it come.
    """

    def __init__(self, stdout: int | None, stderr: int | None) -> None:
        self._descriptors = {STDERR_STREAM: stderr}
        self._stdout = stdout
        self._head = b""
        self._target, self._left = stdout, 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The payload in `data`, frame by frame. A frame or header may be spread over several calls."""
        found = []
        while data:
            if self._left:
                part, data = data[: self._left], data[self._left :]
                self._left -= len(part)
                if self._target is not None:
                    found.append((self._target, part))
                continue
            need = _FRAME.size - len(self._head)
            self._head, data = self._head + data[:need], data[need:]
            if len(self._head) == _FRAME.size:
                stream, self._left = _FRAME.unpack(self._head)
                self._target, self._head = self._descriptors.get(stream, self._stdout), b""
        return found


class Pump:
    """One attach stream. `stdin`, `stdout` and `stderr` are descriptors, or None for what is not attached.

    With a terminal inside (`tty`) the stream is raw and goes to stdout, else it is framed.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        tty: bool,
        stdin: int | None,
        stdout: int | None = 1,
        stderr: int | None = 2,
        keys: KeyScanner | None = None,
    ) -> None:
        self.sock, self.tty, self.stdin, self.stdout = sock, tty, stdin, stdout
        self.keys = keys
        self.frames = Demultiplexer(stdout, stderr)
        self.pending = b""
        self.half_close_due = False
        self.detached = False

    def run(self) -> bool:
        """Pump until the other side closes (False) or the detach keys were typed (True)."""
        while not self.detached:
            poller = select.poll()
            poller.register(self.sock, select.POLLIN | (select.POLLOUT if self.pending else 0))
            if self.stdin is not None and not self.pending:
                poller.register(self.stdin, select.POLLIN)
            for fd, event in poller.poll():
                if fd != self.sock.fileno():
                    self._read_stdin()
                    continue
                if event & select.POLLOUT:
                    self._send()
                if event & ~select.POLLOUT and not self._receive():
                    return False
        return True

    def _receive(self) -> bool:
        try:
            data = self.sock.recv(CHUNK)
        except (ConnectionResetError, BrokenPipeError):
            return False
        for fd, part in [(self.stdout, data)] if self.tty else self.frames.feed(data):
            if fd is not None:
                write_all(fd, part)
        return bool(data)

    def _read_stdin(self) -> None:
        assert self.stdin is not None
        try:
            data = os.read(self.stdin, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # the terminal has gone, or the descriptor was never open: that is the end of our input
        if not data:
            self.stdin, self.half_close_due = None, True
            data = self.keys.flush() if self.keys else b""
        elif self.keys:
            data, self.detached = self.keys.feed(data)
        self.pending += data
        self._send()

    def _send(self) -> None:
        try:
            while self.pending:
                self.pending = self.pending[self.sock.send(self.pending, socket.MSG_DONTWAIT) :]
            if self.half_close_due:
                self.sock.shutdown(socket.SHUT_WR)
                self.half_close_due = False
        except BlockingIOError:
            return
        except OSError:
            # the process has closed its stdin, or ended: its output may still come
            self.stdin, self.pending, self.half_close_due = None, b"", False

"""A container's stdin, stdout and stderr: from the pipes or the pty to the log and to everybody who is attached.

::

                       ┌──────────────── shim ────────────────┐
    container          │                                      │
      stdout  ──pipe──>│ Output ─┬─> log (always, every byte) │
      stderr  ──pipe──>│ Output ─┤                            │
                       │         ├─> Client ──────────────────┼──> attach socket
                       │         └─> Client ──────────────────┼──> attach socket
      stdin   <──pipe──│ Input  <──┬─ Client <────────────────┼─── attach socket (raw bytes)
                       │           └─ Client <────────────────┼───
                       └──────────────────────────────────────┘
    with a tty one pty master stands in the place of the three pipes, and there is no stderr

Nothing here blocks and nothing grows without end. A client that does not read has up to `BACKLOG` bytes kept for it; then the
shim stops reading the container's output, the pipe fills, and the container waits, as under Docker. Input is the
same the other way round: a container that does not read makes its clients wait.

When the container has ended, the output that is still in the pipes belongs to it. A process that got away (from an exec, or
with the host's pid namespace) may hold a pipe open for ever, so the end of the file cannot be waited for. But all that the
dead process wrote lies in the pipe at this moment, and ioctl FIONREAD says how much that is: `drain` reads that, and no more.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import termios
from contextlib import suppress

from minidock.linux import tty
from minidock.shim import detach, protocol
from minidock.shim.jsonlog import JSONFile
from minidock.shim.loop import HUP, IN, OUT, Loop

BACKLOG = 1 << 20
CHUNK = 1 << 16
NAMES = {protocol.STDOUT: "stdout", protocol.STDERR: "stderr"}


class Client:
    """One attached connection: which streams it wants, what could not be sent to it yet, its detach keys."""

    def __init__(self, sock: socket.socket, *, stdin: bool, stdout: bool, stderr: bool, keys: bytes = b"") -> None:
        sock.setblocking(False)
        self.sock = sock
        self.wants = {protocol.STDOUT: stdout, protocol.STDERR: stderr}
        self.stdin = stdin
        self.gone = False
        self.pending = bytearray()
        self.scanner = detach.Scanner(keys)

    def push(self, data: bytes = b"") -> bool:
        """Send what is pending and then `data`, as far as the socket takes it. False if the client has gone."""
        if self.gone:
            return False
        try:
            if not self.pending and data:
                data = data[self.sock.send(data) :]
            elif self.pending:
                self.pending += data
                data = b""
                del self.pending[: self.sock.send(self.pending)]
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True
            return False
        self.pending += data
        return True


class Streams:
    """All streams of one process. `log` may be None (driver "none"). Give it the descriptors with `open_*`, then run the loop.

    `stdin_once`: the container's stdin ends when a client's has ended (never with a tty: a terminal has no end of file
    but the one typed into it).
    """

    def __init__(self, loop: Loop, log: JSONFile | None, *, terminal: bool, stdin_once: bool) -> None:
        self._loop, self._log, self._tty, self._stdin_once = loop, log, terminal, stdin_once
        self._outputs: dict[int, int] = {}
        self._clients: list[Client] = []
        self._stdin = -1
        self._stdin_pending = bytearray()
        self._stdin_ending = False
        self._paused = False
        self.ended = False

    # -- the container's side

    def open_output(self, fd: int, stream: int) -> None:
        """Take over `fd`, the reading end of `stream` (or the pty's master, as stdout)."""
        os.set_blocking(fd, False)
        self._outputs[fd] = stream
        self._watch(fd)

    def open_input(self, fd: int) -> None:
        """Take over `fd`, the writing end of stdin (with a tty: the same master)."""
        os.set_blocking(fd, False)
        self._stdin = fd

    def _watch(self, fd: int) -> None:
        """Watch one of the container's descriptors for what we can do with it now; a pty's master may be both."""
        reads = IN if fd in self._outputs and not self._paused else 0
        writes = OUT if fd == self._stdin and self._stdin_pending else 0
        if reads or writes:
            self._loop.watch(fd, reads | writes, lambda events: self._ready(fd, events))
        else:
            self._loop.forget(fd)

    def _ready(self, fd: int, events: int) -> None:
        if events & OUT or (events & HUP and fd not in self._outputs):
            self._feed(b"")
            for client in list(self._clients):
                self._settle(client)
        if events & (IN | HUP) and fd in self._outputs and not self._paused:
            self._read(fd)

    def resize(self, rows: int, cols: int) -> None:
        """Set the window size of the terminal (ioctl_tty(2), TIOCSWINSZ). Raises OSError(ENOTTY) without one."""
        master = next(iter(self._outputs), -1) if self._tty else -1
        if master < 0:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        tty.set_size(master, rows, cols)

    def _read(self, fd: int, limit: int = CHUNK) -> int:
        """Read once and hand it round; returns the number of bytes (0: the output has ended, -1: nothing there)."""
        try:
            data = os.read(fd, limit)
        except BlockingIOError:
            return -1
        except OSError as e:
            if e.errno != errno.EIO:  # a master whose last slave was closed answers EIO for end of file
                raise
            data = b""
        if not data:
            self._close_output(fd)
            return 0
        stream = self._outputs[fd]
        if self._log:
            self._log.write(NAMES[stream], data)
        if self._clients:
            self._deliver(stream, data)
        return len(data)

    def _close_output(self, fd: int) -> None:
        self._loop.forget(fd)
        del self._outputs[fd]
        if fd == self._stdin:
            self._stdin = -1
        os.close(fd)

    def drain(self) -> None:
        """The process is dead: read what it left in the pipes, finish the log, and let the clients go once they are served."""
        for fd in list(self._outputs):
            # A pty holds less than 64 KiB, and its line discipline pushes on what is under way before it answers EAGAIN.
            budget = CHUNK if self._tty else struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4))[0]
            while budget > 0:
                got = self._read(fd, min(budget, CHUNK))
                if got <= 0:
                    break
                budget -= got
        for fd in list(self._outputs):
            self._close_output(fd)
        if self._stdin >= 0:
            self._loop.forget(self._stdin)
            os.close(self._stdin)
            self._stdin = -1
        self._stdin_pending.clear()
        if self._log:
            self._log.close()
        self.ended = True
        for client in list(self._clients):
            self._settle(client)

    def close(self) -> None:
        """Close everything, served or not."""
        for client in list(self._clients):
            self._drop(client)
        self.drain()

    # -- the clients' side

    def attach(self, client: Client) -> None:
        """From now on `client` gets what the container prints, and may feed its stdin. Takes over its socket."""
        self._clients.append(client)
        self._settle(client)

    @property
    def unserved(self) -> bool:
        """True while some client has not yet taken all that was printed."""
        return bool(self._clients)

    def _deliver(self, stream: int, data: bytes) -> None:
        packet = data if self._tty else protocol.frame(stream, data)
        for client in list(self._clients):
            if client.wants[stream]:
                client.push(packet)
                if client.gone or client.pending:
                    self._settle(client)

    def _settle(self, client: Client) -> None:
        """Watch a client for what can happen to it now; drop it if nothing can."""
        served = not client.pending or client.gone
        if served and (self.ended or (client.gone and not client.stdin)):
            return self._drop(client)
        reads = client.stdin and len(self._stdin_pending) < CHUNK
        if client.gone and not reads:
            self._loop.forget(client.sock.fileno())  # its last words wait until stdin has room for them
        else:
            events = (IN if reads else 0) | (0 if served else OUT)
            self._loop.watch(client.sock.fileno(), events, lambda e: self._happened(client, e))
        self._balance()

    def _balance(self) -> None:
        """Hold the container back while a client has too much pending; let it go on when none has."""
        full = any(len(c.pending) > BACKLOG for c in self._clients if not c.gone)
        if full != self._paused:
            self._paused = full
            for fd in self._outputs:
                self._watch(fd)

    def _happened(self, client: Client, events: int) -> None:
        if events & OUT:
            client.push()
        if events & HUP:
            client.gone = True
        if client.stdin and events & (IN | HUP) and len(self._stdin_pending) < CHUNK:
            self._hear(client)
        if client in self._clients:
            self._settle(client)

    def _hear(self, client: Client) -> None:
        """Read once from a client's stdin; its end may be stdin's end."""
        try:
            data = client.sock.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data, client.gone = b"", True
        if data:
            data, detached = client.scanner.feed(data)
        else:
            data, detached = client.scanner.flush(), False
            client.stdin = False
            if self._stdin_once and not self._tty:
                self._stdin_ending = True
        self._feed(data)
        if detached:
            self._drop(client)

    def _feed(self, data: bytes) -> None:
        """Write to the container's stdin what it takes, keep the rest; without a stdin, or after its end, throw it away."""
        if self._stdin < 0:
            self._stdin_pending.clear()
            return
        self._stdin_pending += data
        broken = False
        try:
            while self._stdin_pending:
                del self._stdin_pending[: os.write(self._stdin, self._stdin_pending)]
        except BlockingIOError:
            pass
        except OSError:  # EPIPE: it does not read its stdin any more
            broken = True
            self._stdin_pending.clear()
        if not self._tty and (broken or (self._stdin_ending and not self._stdin_pending)):
            self._loop.forget(self._stdin)
            os.close(self._stdin)
            self._stdin = -1
        else:
            self._watch(self._stdin)

    def _drop(self, client: Client) -> None:
        self._clients.remove(client)
        self._loop.forget(client.sock.fileno())
        client.gone = True
        with suppress(OSError):
            client.sock.shutdown(socket.SHUT_WR)
        client.sock.close()
        self._balance()

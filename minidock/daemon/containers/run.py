"""``run`` for a program: make a container, run its command to the end, return its output, remove it.

This is the warm path that the bench measures. It is the same `create`, `start` and `remove` as everywhere; what it spares
is what it knows: the exit is its own (no watching thread, no after-exit entry), and the output comes over the attach
stream (no reading of the log).
"""

from __future__ import annotations

import selectors
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.containers.create import create
from minidock.daemon.containers.start import start
from minidock.execdriver.shims import STDERR, STDOUT, unframe

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.request.wire import ConfigRequest, HostConfig, NetworkingConfig

_HEADER = 8


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `frames` is what it wrote, in order: (1 stdout or 2 stderr, bytes); with a tty all is stdout."""

    id: str
    exit_code: int
    frames: tuple[tuple[int, bytes], ...] = field(repr=False)
    oom_killed: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def output(self) -> bytes:
        """stdout alone."""
        return b"".join(data for stream, data in self.frames if stream != STDERR)

    @property
    def stderr(self) -> bytes:
        """stderr alone."""
        return b"".join(data for stream, data in self.frames if stream == STDERR)


@verb
def run(
    engine: Engine,
    config: ConfigRequest,
    host_config: HostConfig | None = None,
    name: str | None = None,
    networking_config: NetworkingConfig | None = None,
    *,
    stdin: bytes = b"",
    timeout: float | None = None,
) -> RunResult:
    """Create, start, collect the output, wait, and remove if ``HostConfig.AutoRemove`` is set.

    `stdin` is given to the command, then its end (set ``OpenStdin`` and ``StdinOnce`` for it to be read). After `timeout`
    seconds TimeoutError is raised; the container goes on, and its shim looks after it. Raises all that `create` and `start`
    raise.
    """
    made = create(engine, config, host_config, name, networking_config)
    id: str = made["Id"]
    deadline = None if timeout is None else time.monotonic() + timeout
    with ExitStack() as stack:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        stack.enter_context(ours)
        owned = start(engine, id, attach=theirs, own=True)
        assert owned is not None
        stack.callback(owned.running.close)
        raw = exchange(ours, stdin, deadline)
        ended = engine.exits.finish(owned, left(deadline))
    frames = ((STDOUT, raw),) if config.get("Tty") else separate(raw)
    warnings = (*made["Warnings"], *owned.running.started.warnings)
    return RunResult(id, ended.code, frames, ended.oom_killed, warnings)


def left(deadline: float | None) -> float | None:
    """Seconds until `deadline`. Raises TimeoutError when it has passed."""
    if deadline is None:
        return None
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the command still runs")
    return seconds


def exchange(sock: socket.socket, stdin: bytes, deadline: float | None) -> bytes:
    """Send `stdin` and its end, and read to the end of the output, both at once: a full pipe either way stalls nothing."""
    received: list[bytes] = []
    if not stdin:
        sock.shutdown(socket.SHUT_WR)
        while True:
            sock.settimeout(left(deadline))
            data = sock.recv(1 << 16)
            if not data:
                return b"".join(received)
            received.append(data)
    sock.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while True:
            ((_key, events),) = selector.select(left(deadline)) or ((None, 0),)
            if events & selectors.EVENT_WRITE:
                try:
                    stdin = stdin[sock.send(stdin[: 1 << 16]) :]
                except (BrokenPipeError, ConnectionResetError):
                    stdin = b""  # the command reads no more of it
                if not stdin:
                    sock.shutdown(socket.SHUT_WR)
                    selector.modify(sock, selectors.EVENT_READ)
            if events & selectors.EVENT_READ:
                data = sock.recv(1 << 16)
                if not data:
                    return b"".join(received)
                received.append(data)


def separate(raw: bytes) -> tuple[tuple[int, bytes], ...]:
    """(stream, bytes) of each of the 8-byte frames."""
    frames, position = [], 0
    while position + _HEADER <= len(raw):
        stream, length = unframe(raw[position : position + _HEADER])
        position += _HEADER
        frames.append((stream, raw[position : position + length]))
        position += length
    return tuple(frames)

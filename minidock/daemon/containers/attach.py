"""``attach``: a container's streams on one socket, in docker's hijack format (raw with a tty, 8-byte frames without)."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.record.container import Container
from minidock.daemon.record.names import lookup
from minidock.daemon.record.pending import Attachment
from minidock.errors import Conflict
from minidock.execdriver import shims

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def attach(
    engine: Engine,
    ref: str,
    *,
    stdin: bool = False,
    stdout: bool = True,
    stderr: bool = True,
    logs: bool = False,
    stream: bool = True,
    detach_keys: str = "",
) -> socket.socket:
    """The client's end of an attach stream. A container that does not run yet is attached when `start` is called here.

    `logs` sends what was logged so far first; without `stream` that is all. The caller closes the socket. Raises
    ContainerNotFound, InvalidParameter (the keys), Conflict (paused, restarting, or already waited for).
    """
    if detach_keys:
        shims.parse_keys(detach_keys)
    container = lookup(engine, ref)
    state = container.state()
    if state.status == "paused":
        raise Conflict(f"Container {container.id} is paused, unpause the container before attach.")
    if state.status == "restarting":
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    past = logged(engine, container, stdout=stdout, stderr=stderr) if logs else b""
    if not stream:
        return replay(past, None)
    if not state.running:
        return before_start(engine, container, stdin=stdin, stdout=stdout, stderr=stderr, detach_keys=detach_keys)
    path = engine.paths.shim_socket(container.id)
    live = engine.execdriver.attach(path, stdin=stdin, stdout=stdout, stderr=stderr, detach_keys=detach_keys)
    return replay(past, live) if past else live


def before_start(
    engine: Engine, container: Container, *, stdin: bool, stdout: bool, stderr: bool, detach_keys: str
) -> socket.socket:
    """Keep the shim's end of a new socketpair until the start."""
    with ExitStack() as undo:
        theirs, ours = (undo.enter_context(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
        if not engine.pending.add(container.id, Attachment(theirs, stdin, stdout, stderr, detach_keys)):
            raise Conflict(f"Container {container.id} has not been started, and another client is attached to it already")
        undo.pop_all()
    return ours


def logged(engine: Engine, container: Container, *, stdout: bool, stderr: bool) -> bytes:
    """The log so far, in the attach stream's format."""
    from minidock.daemon.containers.logs import logs as read_logs

    entries = read_logs(engine, container.id, stdout=stdout, stderr=stderr)
    raw = bool(container.config.get("Tty"))
    return b"".join(payload if raw else shims.frame(stream, payload) for stream, payload in entries)


def replay(past: bytes, live: socket.socket | None) -> socket.socket:
    """A socket that gives `past` first and then is `live`; a thread carries the bytes both ways."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    threading.Thread(target=_carry, args=(past, live, ours), name="attach", daemon=True).start()
    return theirs


def _carry(past: bytes, live: socket.socket | None, client: socket.socket) -> None:
    with client:
        try:
            client.sendall(past)
        except OSError:
            past = b""
        if live is None:
            return
        with live:
            upward = threading.Thread(target=_copy, args=(client, live), name="attach-stdin", daemon=True)
            upward.start()
            _copy(live, client)
            client.shutdown(socket.SHUT_RD)
            upward.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy until the end of `source`, then half-close `target`. A side that has gone ends it."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return

"""What the parent and the child say to each other between clone3 and execve, over one socket pair.

Sequenced packets (unix(7), SOCK_SEQPACKET): one send is one message, and the end of file is seen when the other side is gone.
The child's end is close-on-exec, so a successful execve *is* the last message::

    parent (starter; from "exec" on the shim)        child (init)
      ── MAPS ───────────────────────────────────>   only with a user namespace: its uid_map and gid_map are written
      <── {"event": "ready", …} ──────────────────   the root is set up; everything that can be checked was
      ── GO ─────────────────────────────────────>
      <── {"event": "exec", …} ───────────────────   the last thing before execve
      <── end of file ────────────────────────────   success: the socket was closed by the execve

In the place of any of the child's messages may stand ``{"event": "error", step, path, errno, kind, detail}``. Every message
carries the warnings and trace steps since the last one. An end of file before "exec" means that the child was killed; an end of
file on the child's side means that the parent was, and the child ends too.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import ExitStack
from typing import Any

from minidock.errors import START_ERRORS, StartError
from minidock.linux import trace

MAPS, GO = b"maps", b"go"
_MAX = 1 << 20


def pair(undo: ExitStack) -> tuple[socket.socket, socket.socket]:
    """(parent's end, child's end), both close-on-exec and closed by `undo`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    undo.callback(ours.close)
    undo.callback(theirs.close)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _MAX)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MAX)
    return ours, theirs


class Parent:
    """The parent's side. Collects the child's warnings and trace."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.warnings: list[str] = []
        self.steps: list[dict[str, Any]] = []

    def tell(self, word: bytes) -> None:
        """Say MAPS or GO. A child that is gone is noticed by `expect`, which knows why."""
        try:
            self.sock.send(word)
        except (BrokenPipeError, ConnectionResetError):
            return

    def expect(self, event: str) -> None:
        """Wait for the child's message `event` ("" for the end of file). Raises the StartError that came instead."""
        try:
            data = self.sock.recv(_MAX)
        except ConnectionResetError:  # the child ended and had not read all that we sent; what it said is there all the same
            data = self.sock.recv(_MAX)
        if not data:
            if event:
                raise StartError("container init", detail=f"killed before {event}")
            return
        message = json.loads(data)
        self.warnings += message["warnings"]
        self.steps += message["trace"]
        if message["event"] == "error":
            raise START_ERRORS[message["kind"]](message["step"], message["path"], message["errno"], message["detail"])

    def executed(self) -> None:
        """Wait until the child has become the command. Raises StartError, CommandNotFound or CommandNotExecutable."""
        self.expect("exec")
        self.expect("")
        self.sock.close()


class Child:
    """The child's side: where it stands (`at`), what it noticed (`warn`), and its messages."""

    def __init__(self, sock: socket.socket, tracer: trace.Tracer | None) -> None:
        self.sock = sock
        self.tracer = tracer
        self.sent = 0
        self.step, self.path = "start init", ""
        self.warnings: list[str] = []

    def at(self, step: str, path: str = "") -> None:
        """Note what is being done from now on, for the error that may come of it."""
        self.step, self.path = step, path

    def warn(self, text: str) -> None:
        """Something that was asked for cannot be had here, and the container starts all the same."""
        self.warnings.append(text)

    def wait(self, word: bytes) -> None:
        """Block until the parent says `word`. When the parent is gone there is nobody left to tell: end."""
        if self.sock.recv(16) != word:
            os._exit(1)

    def say(self, event: str, **fields: Any) -> None:
        """Send one message to the parent."""
        steps = self.tracer.dump()[self.sent :] if self.tracer else []
        self.sent += len(steps)
        self.sock.send(json.dumps({"event": event, "warnings": self.warnings, "trace": steps, **fields}).encode())
        self.warnings = []

    def fail(self, error: BaseException) -> None:
        """Tell the parent that `error` happened at the current step."""
        if isinstance(error, StartError):
            self.say("error", kind=error.kind, step=error.step, path=error.path, errno=error.errno, detail=error.detail)
        elif isinstance(error, OSError):
            detail = str(error) if isinstance(error, trace.InjectedFault) or not error.errno else ""
            self.say("error", kind=StartError.kind, step=self.step, path=self.path, errno=error.errno or 0, detail=detail)
        else:  # a bug of ours: the reader of the message needs its name
            detail = f"{type(error).__name__}: {error}"
            self.say("error", kind=StartError.kind, step=self.step, path=self.path, errno=0, detail=detail)

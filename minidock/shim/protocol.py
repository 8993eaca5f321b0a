"""How an engine, the zygote, a shim and a container's init talk. One drawing, then the words.

::

    engine (any process)        zygote (one per instance)     shim (one per container or exec)     init (pid 1)
        │                            │ fork, before anybody asks ──>│                                │
        │ connect zygote-V.sock ────────────────────────────────────>│ accept                         │
        │ start or exec (+ attach stream, lock) ────────────────────>│ log, pipes or pty, cgroup      │
        │                                                           │ clone3(namespaces, pidfd) ────>│ joins v1 cgroups
        │<── {"event":"created","pid":…} ───────────────────────────┤ root and binds, detached ─────>│ id maps awaited
        │ network into /proc/pid/ns/net                             │ shim.sock                      │ mounts, pivot_root
        │                                                           │<── "ready" ────────────────────┤ waits for go
        │ {"op":"go"} ─────────────────────────────────────────────>│ ── go ────────────────────────>│ seccomp, capabilities
        │                                                           │ run.json <── end of file ──────┤ execve
        │<── {"event":"started",…} or {"event":"error",…} ──────────┤                                │ … the command …
        │<── {"event":"exit","code":…} ─────────────────────────────┤ pidfd readable; exit.json      ×
        │  {"op":"release"} ───────────────────────────────────────>│ exit; without an owner: exec the after-exit entry

"created" and "go" are there only for who has a network to put in. The column "shim" is two processes: up to its "go" to
init the *starter* speaks and acts, then it hands all descriptors to the
shim, which is the parent of both and of init, and ends (`starter.py`). Nobody outside can tell them apart.

**Messages** are length-prefixed JSON on a unix stream socket: 4 bytes big-endian length, then that many bytes of UTF-8 JSON
(at most `MAX_MESSAGE`). Descriptors ride on the first byte of a message (SCM_RIGHTS).

**To the zygote**, one message per connection; the connection then belongs to the forked shim:

``{"op": "version"}`` → ``{"version": V, "pid": …}``
``{"op": "start", "config": Config, "shim": ShimConfig, "attach": bool, "lock": bool, "wait_go": bool,
"trace": null | {} | {"plan": {…}}}``
``{"op": "exec",  "config": ExecConfig, "shim": ShimConfig, "attach": bool, "trace": …}``

With ``"attach": true`` a descriptor comes along: the shim's end of a socketpair, attached from before the first byte of
output (the *attach stream* below). With ``"lock": true`` comes the container's lock (flock(2)), which starter, init and shim
thereby hold until the start is over or wholly taken back, even if the engine is killed. ``wait_go`` asks for the stop at
"created".

**Events** that the shim sends on that connection, in this order: ``created`` (pid; only with wait_go), ``started`` (pid,
pid_start, started_at, warnings, trace), then ``exit`` (code, oom_killed, error, finished_at, trace). ``error`` (step, path,
errno, kind: `errors.START_ERRORS`, message, trace) may stand in the place of any; nothing comes after it
and nothing is left behind. When the engine hangs up before ``started``, the shim takes everything back.

An engine that keeps the connection open after ``started`` is the **owner**: at the exit the shim sends ``exit`` and waits for
``{"op": "release"}`` (the owner has done what is due after an exit). A hang-up without release, or no owner at all, means: the
shim execs the after-exit entry (`ShimConfig.after_exit`), if there is one.

**To shim.sock** (one per container, ``exec-<id>.sock`` for an exec), one message per connection:

``{"op": "attach", "stdin": bool, "stdout": bool, "stderr": bool, "detach_keys": "ctrl-p,ctrl-q"}`` → ``{"ok": true}``, then the
attach stream. ``{"op": "resize", "rows": …, "cols": …}`` → ``{"ok": true}``. ``{"op": "wait"}`` → the ``exit`` event when it
comes. ``{"op": "own"}`` → ``{"ok": true}``; then as the owner above. ``{"op": "state"}`` → run.json's content.
An unknown op → ``{"error": "…"}``.

**The attach stream** is docker's hijacked stream to the byte, so that the API server can splice it: from the shim raw bytes
with a tty, else frames of 8 bytes (stream 1 stdout or 2 stderr, three zero bytes, big-endian length) and payload; to the shim
raw stdin, whose end is a half-close. The shim closes when the output has ended or the detach keys were typed.

**Files**, in the container's folder, each written to a temporary name and renamed: ``run.json`` at "started" (run, shim_pid,
shim_start, pid, pid_start, boot_id, started_at), ``exit.json`` at the exit (run, code, oom_killed, error, finished_at). `run`
counts the container's starts, so that an exit is never taken for an older run's. An exec writes ``exec/<id>.run.json`` and
``exec/<id>.exit.json`` in the run directory instead. Times are RFC 3339 with nanoseconds, UTC.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minidock import errors
from minidock.frozen import Frozen
from minidock.libcontainer.cgroups.hierarchy import Hierarchy
from minidock.linux.sockets import receive_fds

MAX_MESSAGE = 8 << 20
STDIN, STDOUT, STDERR = 0, 1, 2
_ADDRESS = 107
_LENGTH = struct.Struct(">I")
_FRAME = struct.Struct(">BxxxI")


class LogConfig(Frozen):
    """The log of one container: driver "json-file" or "none"; max_size in bytes (0: no limit), max_file kept files."""

    driver: str = "json-file"
    path: str = ""
    max_size: int = 0
    max_file: int = 1


class ShimConfig(Frozen):
    """What the shim needs besides the container's config.

    `state_dir` gets run.json and exit.json; `socket` is where the shim listens; `run` counts the starts. `after_exit` is the
    argv of the entry to exec when nobody owns the exit (empty: nothing is due). `open_stdin` keeps stdin open without a
    client; `stdin_once` closes it when the first attached client has sent its end of file. `exec_id` is set for an exec.
    `durable` False spares run.json and exit.json the fsync: for a container that nobody will look for after a power cut,
    because it is removed when it ends. `attach` are the streams and `detach_keys` the keys of the attach stream that came
    with the start (the keys count only with a tty; "" for docker's own). With an `after_exit_mark` the after-exit entry is
    only due if that file is there at the exit: `update` may change the restart policy. An oom is written into the file
    `records`, with these `attributes` (`notes.py`; "": nowhere).
    """

    state_dir: str
    socket: str
    run: int = 1
    log: LogConfig = LogConfig()
    open_stdin: bool = False
    stdin_once: bool = False
    after_exit: tuple[str, ...] = ()
    exec_id: str = ""
    durable: bool = True
    attach: tuple[str, ...] = ("stdin", "stdout", "stderr")
    detach_keys: str = ""
    after_exit_mark: str = ""
    records: str = ""
    attributes: dict[str, str] = {}  # noqa: RUF012 — never changed


class Running(Frozen):
    """run.json, but for the run's number: which processes a run is, and since when. Start times are proc(5)'s clock ticks since
    boot, `started_at` is RFC 3339."""

    shim_pid: int
    shim_start: int
    pid: int
    pid_start: int
    boot_id: str
    started_at: str


class HandOver(Frozen):
    """What a starter tells its shim; the descriptors come along, in the order of `names`.

    `tty`: the process has a terminal. `cgroup` is the container's own ("" for an exec), in these `hierarchies`; `shared_pid`:
    it has no pid namespace of its own that would take its processes along. `warnings` and `init_steps` have come from init so
    far. `trace` is the request's, `steps` are those that the starter has made.
    """

    shim: ShimConfig
    run: Running
    names: tuple[str, ...]
    tty: bool = False
    cgroup: str = ""
    hierarchies: tuple[Hierarchy, ...] = ()
    shared_pid: bool = False
    warnings: tuple[str, ...] = ()
    trace: dict[str, Any] | None = None
    steps: tuple[dict[str, Any], ...] = ()
    init_steps: tuple[dict[str, Any], ...] = ()


class Closed(ConnectionError):
    """The other side hung up where a message was due."""


def send(sock: socket.socket, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
    """Send one message, with `fds` riding on its first byte. Records in it become objects."""
    data = json.dumps(message, separators=(",", ":"), default=vars).encode()
    data = _LENGTH.pack(len(data)) + data
    if fds:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
        data = data[sock.sendmsg([data], rights) :]
    if data:  # who has it all may have hung up by now
        sock.sendall(data)


def receive(sock: socket.socket, max_fds: int = 0) -> tuple[dict[str, Any], list[int]]:
    """Receive one message and the descriptors that came with it (close-on-exec). Raises Closed at end of file."""
    fds: list[int] = []
    head = _exactly(sock, _LENGTH.size, fds, max_fds)
    (length,) = _LENGTH.unpack(head)
    if length > MAX_MESSAGE:
        raise ValueError(f"message of {length} bytes; the limit is {MAX_MESSAGE}")
    message = json.loads(_exactly(sock, length, fds, max_fds))
    if not isinstance(message, dict):
        raise ValueError("a message must be a JSON object")
    return message, fds


@contextmanager
def address(path: str) -> Iterator[str]:
    """`path` as something to bind or connect to: an address has room for 107 bytes only (unix(7)).

    A longer path goes by its folder's descriptor.
    """
    if len(os.fsencode(path)) <= _ADDRESS:
        yield path
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def _exactly(sock: socket.socket, size: int, fds: list[int], max_fds: int) -> bytes:
    data = b""
    while len(data) < size:
        if max_fds:
            part, new = receive_fds(sock, size - len(data), max_fds)
            fds += new
        else:
            part = sock.recv(size - len(data))
        if not part:
            for fd in fds:
                os.close(fd)
            raise Closed("the connection ended where a message was due")
        data += part
    return data


def failure(error: OSError | errors.SystemFault, steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The ``error`` event for a start that failed."""
    fault = error if isinstance(error, errors.SystemFault) else errors.StartError.from_oserror("start", error)
    kind = fault.kind if isinstance(fault, errors.StartError) else errors.StartError.kind
    event = {"event": "error", "kind": kind, "step": fault.step, "path": fault.path}
    return {**event, "errno": fault.errno, "message": fault.detail, "trace": steps}


def frame(stream: int, payload: bytes) -> bytes:
    """One frame of docker's multiplexed stream (Engine API, "Stream format" under attach)."""
    return _FRAME.pack(stream, len(payload)) + payload


def unframe(header: bytes) -> tuple[int, int]:
    """(stream, payload length) of an 8-byte frame header."""
    stream, length = _FRAME.unpack(header)
    return stream, length

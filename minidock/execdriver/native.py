"""The one driver: asks the zygote for a shim, and the shim for everything else (``shim/protocol.py`` has the drawing)."""

from __future__ import annotations

import errno
import json
import select
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from minidock import errors
from minidock.execdriver import Exit, Started, spawn
from minidock.libcontainer.config import Config, ExecConfig
from minidock.linux import trace
from minidock.shim import protocol
from minidock.shim.protocol import ShimConfig
from minidock.shim.version import version

_GONE = (errno.ENOENT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE)
_ATTEMPTS = 3


class _NotHeard(Exception):
    """Nobody took the request: nothing was begun, and another zygote may be asked."""


class Native:
    """`ExecDriver` over zygote and shims. `run_dir` is the instance's RUN; `python` what a zygote is started with."""

    name = "native"

    def __init__(self, run_dir: Path, instance: str, python: str = sys.executable) -> None:
        self._run_dir, self._instance, self._python = run_dir, instance, python
        self._version = ""

    # -- ExecDriver

    def start(
        self,
        config: Config,
        shim: ShimConfig,
        *,
        attach: socket.socket | None = None,
        on_created: Callable[[int], None] | None = None,
        lock: int = -1,
    ) -> Process:
        """Start a container (`ExecDriver.start`). An error of `on_created` is raised here, when all is taken back."""
        return self._begin("start", config, shim, attach, on_created, lock)

    def exec(self, config: ExecConfig, shim: ShimConfig, *, attach: socket.socket | None = None) -> Process:
        """Start one more process in a running container (`ExecDriver.exec`)."""
        return self._begin("exec", config, shim, attach, None)

    def attach(self, shim_socket: str, *, stdin: bool, stdout: bool, stderr: bool, detach_keys: str = "") -> socket.socket:
        """A docker hijack stream to a running shim. Raises Unavailable if it is gone, InvalidParameter for bad keys."""
        sock = _connect(shim_socket)
        if sock is None:
            raise errors.Unavailable(f"cannot attach: {shim_socket} has ended")
        message = {"op": "attach", "stdin": stdin, "stdout": stdout, "stderr": stderr, "detach_keys": detach_keys}
        try:
            _ask(sock, message)
        except BaseException:
            sock.close()
            raise
        return sock

    def resize(self, shim_socket: str, rows: int, cols: int) -> None:
        """Set the window size of the pty. Raises Unavailable if the shim is gone."""
        sock = _connect(shim_socket)
        if sock is None:
            raise errors.Unavailable(f"cannot resize: {shim_socket} has ended")
        with sock:
            _ask(sock, {"op": "resize", "rows": rows, "cols": cols})

    def wait(self, shim_socket: str, timeout: float | None = None) -> Exit | None:
        """Block until that shim's process ends. None if the shim is gone (read exit.json then). TimeoutError."""
        sock = _connect(shim_socket)
        if sock is None:
            return None
        with sock, suppress(ConnectionError):
            protocol.send(sock, {"op": "wait"})
            return _exit(_await(sock, timeout))
        return None

    def own(self, shim_socket: str) -> Process | None:
        """Become an owner of a running process's exit. None if the shim is gone."""
        sock = _connect(shim_socket)
        if sock is None:
            return None
        try:
            protocol.send(sock, {"op": "own"})
            _, run = protocol.receive(sock)[0], self._state(shim_socket)
        except ConnectionError:
            sock.close()
            return None
        started = Started(run["pid"], run["pid_start"], run["started_at"]) if run else Started(0, 0, "")
        return Process(sock, started, None)

    # -- the zygotes

    def versions(self) -> dict[str, int]:
        """The zygotes of this instance that answer: version → pid."""
        return dict(filter(None, (spawn.ask_version(p) for p in sorted(self._run_dir.glob("zygote-*.sock")))))

    def stop_zygote(self) -> None:
        """End this instance's zygotes, of whatever version, and remove what they had. Running containers go on.

        The last one to leave the shims' cgroup is a shim or the keeper; while one is there the cgroup stays.
        """
        for path in sorted(self._run_dir.glob("zygote-*.sock")):
            spawn.stop(path)

    def remove_cgroup(self) -> None:
        """Remove the cgroup of zygote and shims, when nothing runs any more. Idempotent."""
        from minidock.libcontainer import cgroups

        cgroups.manager(f"/{self._instance}/shims").remove()

    # -- how a start goes

    def _begin(
        self,
        op: str,
        config: Config | ExecConfig,
        shim: ShimConfig,
        attach: socket.socket | None,
        on_created: Callable[[int], None] | None,
        lock: int = -1,
    ) -> Process:
        request: dict[str, Any] = {
            "op": op,
            "config": config,
            "shim": shim,
            "attach": attach is not None,
            "lock": lock >= 0,
            "wait_go": on_created is not None,
            "trace": _trace_request(),
        }
        for _ in range(_ATTEMPTS):
            with suppress(_NotHeard):
                return self._attempt(request, shim, attach, on_created, lock)
        raise errors.SystemFault("start", "", 0, "no zygote stays alive for long enough")

    def _attempt(
        self,
        request: dict[str, Any],
        shim: ShimConfig,
        attach: socket.socket | None,
        on_created: Callable[[int], None] | None,
        lock: int,
    ) -> Process:
        sock = self._zygote()
        try:
            event = self._ask(sock, request, (*((attach.fileno(),) if attach else ()), *((lock,) if lock >= 0 else ())))
            if attach:
                attach.close()
            return self._converse(sock, event, shim, on_created)
        except BaseException:
            # Before "started" the hang-up makes the shim take everything back; whoever gets the error finds that done.
            with sock, suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
                _wait_for_end(sock)
            raise

    def _zygote(self) -> socket.socket:
        with trace.step("connect", "zygote"):
            self._version = self._version or version()
            return spawn.connect(self._run_dir, self._instance, self._version, self._python)

    def _ask(self, sock: socket.socket, request: dict[str, Any], fds: tuple[int, ...]) -> dict[str, Any]:
        """Send the request; returns the first event. Raises _NotHeard, SystemFault.

        A zygote may die between our connect and its accept. The kernel then answers with a reset, as it does when the request
        lies unread; who has read it and dies leaves an end of file (unix(7), net/unix/af_unix.c).
        """
        try:
            with trace.step("request", request["op"]):
                protocol.send(sock, request, fds)
            return _event(sock)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise _NotHeard from e
        except ConnectionError as e:
            raise errors.SystemFault("start", "", 0, "the shim ended without a word") from e

    def _converse(
        self, sock: socket.socket, event: dict[str, Any], shim: ShimConfig, on_created: Callable[[int], None] | None
    ) -> Process:
        try:
            if event["event"] == "created" and on_created:
                on_created(event["pid"])
                with trace.step("go", str(event["pid"])):
                    protocol.send(sock, {"op": "go"})
                event = _event(sock)
        except ConnectionError as e:
            raise errors.SystemFault("start", "", 0, "the shim ended without a word") from e
        started = Started(
            event["pid"], event["pid_start"], event["started_at"], tuple(event["warnings"]), tuple(event.get("trace", ()))
        )
        return Process(sock, started, shim)

    def _state(self, shim_socket: str) -> dict[str, Any] | None:
        sock = _connect(shim_socket)
        if sock is None:
            return None
        with sock:
            return _ask(sock, {"op": "state"})


class Process:
    """A started process and our connection to its shim (`Running`)."""

    def __init__(self, sock: socket.socket, started: Started, shim: ShimConfig | None) -> None:
        self.started = started
        self._sock, self._shim = sock, shim
        self._exit: Exit | None = None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def wait(self, timeout: float | None = None) -> Exit:
        """Block until the exit; TimeoutError after `timeout` seconds. A shim that was killed took its container along: 137."""
        if self._exit is None:
            try:
                self._exit = _exit(_await(self._sock, timeout))
            except ConnectionError:
                self._exit = self._recorded() or Exit(137, error="the shim was killed")
        return self._exit

    def _recorded(self) -> Exit | None:
        """What exit.json says of this run, if the shim got that far."""
        if self._shim:
            from minidock.shim import after  # the shim's own; a killed one is rare

            with suppress(FileNotFoundError):
                fields = json.loads(Path(after.path(self._shim, "exit")).read_bytes())
                if fields["run"] == self._shim.run:
                    return _exit(fields)
        return None

    def release(self) -> None:
        """Say that what is due after the exit has been done, and hang up."""
        with suppress(OSError):
            protocol.send(self._sock, {"op": "release"})
        self.close()

    def hang_up(self) -> None:
        """Say goodbye, but keep the descriptor: a thread that sleeps in `wait`, or is about to, wakes up and closes it."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up. Idempotent; only for who has no thread in `wait`."""
        self.hang_up()
        self._sock.close()


def _connect(path: str) -> socket.socket | None:
    """A connection to a shim; None if it is gone."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with protocol.address(path) as address:
            sock.connect(address)
    except OSError as e:
        sock.close()
        if e.errno in _GONE:
            return None
        raise errors.SystemFault.from_oserror("connect to the shim", e) from e
    return sock


def _ask(sock: socket.socket, message: dict[str, Any]) -> dict[str, Any]:
    """Send one request and return its answer. InvalidParameter for ``{"error": …}``, Unavailable if the shim ends meanwhile."""
    try:
        protocol.send(sock, message)
        answer, _ = protocol.receive(sock)
    except ConnectionError as e:
        raise errors.Unavailable(f"cannot {message['op']}: the process has ended") from e
    if "error" in answer:
        raise errors.InvalidParameter(answer["error"])
    return answer


def _event(sock: socket.socket) -> dict[str, Any]:
    """The next event; an ``error`` event is raised as what it stands for. Steps go to this process's tracer."""
    event, _ = protocol.receive(sock)
    _merge(event)
    if event["event"] == "error":
        raise errors.START_ERRORS[event["kind"]](event["step"], event["path"], event["errno"], event["message"])
    return event


def _await(sock: socket.socket, timeout: float | None) -> dict[str, Any]:
    """`_event`, but TimeoutError when nothing comes for `timeout` seconds."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    if not poll.poll(None if timeout is None else max(0, timeout) * 1000):
        raise TimeoutError(f"still running after {timeout} s")
    return _event(sock)


def _wait_for_end(sock: socket.socket) -> None:
    """Read until the shim has hung up: what was begun is taken back then."""
    with suppress(OSError, protocol.Closed):
        while True:
            _merge(protocol.receive(sock)[0])


def _exit(fields: dict[str, Any]) -> Exit:
    return Exit(fields["code"], fields["oom_killed"], fields["error"], fields["finished_at"])


def _trace_request() -> dict[str, Any] | None:
    """The ``trace`` field of a request: ask for steps when somebody traces here, and pass on a plan that is not for us."""
    tracer = trace.current()
    if tracer is None:
        return None
    plan = tracer.plan
    return {"plan": plan._asdict()} if plan and plan.process != tracer.process else {}


def _merge(event: dict[str, Any]) -> None:
    tracer = trace.current()
    if tracer and event.get("trace"):
        tracer.steps += [trace.Step(**step) for step in event["trace"]]

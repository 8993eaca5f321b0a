"""One shim: starts one process, watches it, and tells how it ended. ``protocol.py`` has the drawing and the messages.

A shim is a fork of the zygote and lives as long as its container, so it does as little as it can: every page that it writes to
is one it no longer shares. All of `start` is undone on any fault or when the engine hangs up; from "started" on the process
belongs to the shim alone, and no engine is needed for anything.

What happens when a shim is killed with SIGKILL: the kernel sends its child SIGKILL (PR_SET_PDEATHSIG, set by init), so no
container is ever without a shim. There is no exit.json then; an engine that finds run.json with a dead shim records
exit code 137. The order at a normal exit is what lets others rely on less than all of it::

    pidfd readable → output drained, log closed → cgroup gone → exit.json → shim.sock gone → "exit" told → release or after-exit

Who has seen the exit event finds the whole log, the file and a free cgroup name.
"""

from __future__ import annotations

import json
import os
import socket
from contextlib import ExitStack, suppress
from typing import Any, NoReturn

from minidock import errors
from minidock.libcontainer import cgroups, config, rootfs
from minidock.libcontainer.container import InitProcess, Stdio, create
from minidock.libcontainer.exec import create_exec
from minidock.linux import process, trace
from minidock.shim import after, detach, protocol
from minidock.shim.jsonlog import JSONFile, timestamp
from minidock.shim.loop import IN, Loop
from minidock.shim.peer import Peer
from minidock.shim.streams import Client, Streams


class Shim:
    """One container's or exec's monitor. `connection` is the engine's; `attach` its end of the first attach stream, or None."""

    def __init__(self, connection: socket.socket, request: dict[str, Any], attach: socket.socket | None) -> None:
        self._connection, self._attach = connection, attach
        self._request = request
        self._tracer = trace.from_request(request.get("trace"), "shim")
        self._traced = 0
        self._config = config.from_dict(protocol.ShimConfig, request["shim"])
        self._loop = Loop()
        self._peers: set[Peer] = set()
        self._released = self._exited = False
        self._spec: config.Config | config.ExecConfig
        self._run: dict[str, Any] = {}

    # -- start

    def start(self) -> bool:
        """Start the process and say so. False if it could not be, or if the engine has hung up: nothing is left behind then."""
        trace.install(self._tracer)
        try:
            with ExitStack() as undo:
                self._create(undo)
                self._undo = undo.pop_all()
        except protocol.Closed:
            return False
        except (OSError, errors.SystemFault) as e:
            with suppress(OSError):
                protocol.send(self._connection, self._failure(e))
            return False
        return True

    def _create(self, undo: ExitStack) -> None:
        is_exec = self._request["op"] == "exec"
        self._spec = config.from_dict(config.ExecConfig if is_exec else config.Config, self._request["config"])
        what = self._spec.process
        log = self._config.log
        self._log = JSONFile(log.path, log.max_size, log.max_file) if log.driver == "json-file" else None
        self._streams = Streams(self._loop, self._log, terminal=what.tty, stdin_once=self._config.stdin_once)
        undo.callback(self._streams.close)
        with ExitStack() as theirs:
            stdio = self._terminal(undo, theirs) if what.tty else self._pipes(theirs)
            if isinstance(self._spec, config.ExecConfig):
                self._process: InitProcess = create_exec(self._spec, stdio, self._tracer)
            else:
                self._process = create(self._spec, stdio, self._tracer)
            undo.callback(self._process.destroy)
        if self._request.get("wait_go"):
            self._process.created()
            self._tell({"event": "created", "pid": self._process.pid})
        self._listen(undo)
        self._process.ready()
        if what.tty:
            self._receive_master()
        if self._attach:
            self._streams.attach(Client(self._attach, stdin=self._config.open_stdin, stdout=True, stderr=True))
        if self._request.get("wait_go"):
            message, _ = protocol.receive(self._connection)
            if message.get("op") != "go":
                raise protocol.Closed("the engine did not say go")
        self._process.go()
        self._announce(undo)

    def _announce(self, undo: ExitStack) -> None:
        """Write run.json and send "started": from here on there is no way back."""
        pid = self._process.pid
        self._run = {
            "shim_pid": os.getpid(),
            "shim_start": process.start_time(os.getpid()),
            "pid": pid,
            "pid_start": process.start_time(pid),
            "boot_id": _boot_id(),
            "started_at": timestamp(),
        }
        undo.callback(after.forget, self._config)
        after.record(self._config, "run", self._run)
        told = {key: self._run[key] for key in ("pid", "pid_start", "started_at")}
        steps = self._steps() + self._process.trace() if self._tracer else []
        self._tell({"event": "started", **told, "warnings": self._process.warnings, "trace": steps})

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            protocol.send(self._connection, message)
        except OSError as e:
            raise protocol.Closed("the engine has hung up") from e

    def _pipes(self, theirs: ExitStack) -> Stdio:
        """Three pipes, or /dev/null as stdin; `theirs` closes the container's ends once it has them."""
        ends = []
        if self._config.open_stdin:
            reader, writer = os.pipe2(os.O_CLOEXEC)
            self._streams.open_input(writer)
        else:
            reader = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        theirs.callback(os.close, reader)
        for stream in (protocol.STDOUT, protocol.STDERR):
            output, writer = os.pipe2(os.O_CLOEXEC)
            self._streams.open_output(output, stream)
            theirs.callback(os.close, writer)
            ends.append(writer)
        return Stdio(reader, *ends)

    def _terminal(self, undo: ExitStack, theirs: ExitStack) -> Stdio:
        """A socket over which init sends the master of a pty of the container's own devpts (runc's console socket)."""
        self._console, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        undo.enter_context(self._console)
        theirs.enter_context(end)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        theirs.callback(os.close, null)
        return Stdio(null, null, null, end.fileno())

    def _receive_master(self) -> None:
        _data, fds, _flags, _address = socket.recv_fds(self._console, 16, 1, socket.MSG_CMSG_CLOEXEC)
        self._console.close()
        if not fds:
            raise errors.StartError("console", "", 0, "init sent no terminal")
        self._streams.open_output(fds[0], protocol.STDOUT)
        self._streams.open_input(fds[0])

    def _listen(self, undo: ExitStack) -> None:
        """Our own socket, private to root by its folder; a stale one of a killed shim gives way."""
        path = self._config.socket
        with trace.step("listen", path):
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            with suppress(FileNotFoundError):
                os.unlink(path)
            self._listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            self._listener.bind(path)
            undo.callback(self._unlisten)
            self._listener.listen(128)
        self._listener.setblocking(False)

    def _unlisten(self) -> None:
        with trace.step("unlink", self._config.socket), suppress(FileNotFoundError):
            os.unlink(self._config.socket)
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        with suppress(OSError):  # the folder is the container's if anything else is in it
            os.rmdir(os.path.dirname(self._config.socket))

    def _steps(self) -> list[dict[str, Any]]:
        """Our steps since the last message that carried some."""
        if not self._tracer:
            return []
        steps = self._tracer.dump()[self._traced :]
        self._traced += len(steps)
        return steps

    def _failure(self, error: OSError | errors.SystemFault) -> dict[str, Any]:
        fault = error if isinstance(error, errors.SystemFault) else errors.StartError.from_oserror("start", error)
        kind = {errors.CommandNotFound: "not-found", errors.CommandNotExecutable: "not-executable"}.get(type(fault), "start")
        event = {"event": "error", "kind": kind, "step": fault.step, "path": fault.path, "errno": fault.errno}
        return {**event, "message": fault.detail, "trace": self._steps()}

    # -- run

    def run(self) -> NoReturn:
        """Serve until the process has ended and everybody who waits for that has been told; then end or become after-exit."""
        owner = Peer(self._loop, self._connection, self._heard)
        owner.role = "owner"
        self._peers.add(owner)
        self._loop.watch(self._listener.fileno(), IN, self._accept)
        self._loop.watch(self._process.pidfd, IN, self._ended)
        while not self._exited:
            self._loop.turn()
        self._finish()
        while not self._released and any(p.role == "owner" for p in self._peers):
            self._loop.turn()
        hand_over = not self._released and self._config.after_exit
        # A client that reads slowly still gets everything, but what is due after the exit does not wait for it.
        if hand_over and (not self._streams.unserved or os.fork() == 0):
            after.become(self._config.after_exit)
        while self._streams.unserved:
            self._loop.turn()
        os._exit(0)

    def _ended(self, _events: int) -> None:
        self._exited = True

    def _finish(self) -> None:
        """Reap, drain, clean up, record, tell: the order of the module's docstring."""
        self._loop.forget(self._process.pidfd)
        code = process.wait_pidfd(self._process.pidfd)
        oom_killed = self._clean_up()
        event = {"code": code, "oom_killed": oom_killed, "error": self._complaint(), "finished_at": timestamp()}
        try:
            after.record(self._config, "exit", event)
        except OSError as e:
            after.complain(f"{after.path(self._config, 'exit')}: {e.strerror}")
        self._unlisten()
        for peer in list(self._peers):
            peer.tell({"event": "exit", **event, "trace": self._steps()})
            if peer.role != "owner":
                self._forget(peer)

    def _clean_up(self) -> bool:
        """End what is left of the container, take all of its output and remove its cgroup. True if the OOM killer was there."""
        spec = self._spec
        if isinstance(spec, config.ExecConfig) or spec.cgroup is None:
            self._streams.drain()
            return False
        manager = cgroups.manager(spec.cgroup.path)
        try:
            if spec.namespaces.pid != config.NEW:
                manager.kill()  # with its own pid namespace the kernel has done that when pid 1 ended
            self._streams.drain()
            oom_killed = manager.oom_kills() > 0
            manager.remove()
        except OSError as e:
            after.complain(f"cgroup {spec.cgroup.path}: {e.strerror}")
            return False
        return oom_killed

    def _complaint(self) -> str:
        if self._log and self._log.lost:
            return f"log: {self._log.lost} entries lost: {os.strerror(self._log.error).lower()}"
        return ""

    # -- requests

    def _accept(self, _events: int) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            sock, _ = self._listener.accept()
            self._peers.add(Peer(self._loop, sock, self._heard))

    def _forget(self, peer: Peer) -> None:
        self._peers.discard(peer)
        peer.close()

    def _heard(self, peer: Peer, message: dict[str, Any] | None) -> None:
        """A message of `peer`, or None when it has hung up."""
        if message is None:
            return self._forget(peer)
        op = message.get("op")
        if peer.role == "owner":
            self._released = self._released or (op == "release" and self._exited)
            return self._forget(peer)
        answers = {
            "attach": self._op_attach,
            "resize": self._op_resize,
            "wait": self._op_wait,
            "own": self._op_own,
            "state": self._op_state,
            "rotate": self._op_rotate,
        }
        answer = answers.get(op or "")
        if answer is None:
            peer.tell({"error": f"unknown op {op!r}"})
            return self._forget(peer)
        try:
            answer(peer, message)
        except (OSError, errors.APIError, KeyError, TypeError, ValueError) as e:
            peer.tell({"error": str(e)})
            self._forget(peer)

    def _op_attach(self, peer: Peer, message: dict[str, Any]) -> None:
        keys = detach.parse(message.get("detach_keys") or "") if self._spec.process.tty else b""
        wants = {name: bool(message.get(name)) for name in ("stdin", "stdout", "stderr")}
        wants["stdin"] = wants["stdin"] and self._config.open_stdin
        if not peer.tell({"ok": True}):
            return self._forget(peer)
        self._peers.discard(peer)
        self._streams.attach(Client(peer.hand_over(), keys=keys, **wants))

    def _op_resize(self, peer: Peer, message: dict[str, Any]) -> None:
        self._streams.resize(int(message["rows"]), int(message["cols"]))
        peer.tell({"ok": True})
        self._forget(peer)

    def _op_wait(self, peer: Peer, _message: dict[str, Any]) -> None:
        peer.role = "waiter"

    def _op_own(self, peer: Peer, _message: dict[str, Any]) -> None:
        peer.role = "owner"
        peer.tell({"ok": True})

    def _op_state(self, peer: Peer, _message: dict[str, Any]) -> None:
        peer.tell({"run": self._config.run, **self._run})
        self._forget(peer)

    def _op_rotate(self, peer: Peer, _message: dict[str, Any]) -> None:
        if self._log:
            self._log.reopen()
        peer.tell({"ok": True})
        self._forget(peer)


def rehearse() -> None:
    """Go through the motions of a start without starting anything: fills caches, and makes the pages ours that it writes to."""
    command = config.Process(args=("true",))
    root = config.RootMount("bind", source="/")
    samples = (
        config.Config("0" * 64, root, command, mounts=(config.Mount("/proc", "proc", "proc"),), cgroup=config.Cgroup("/")),
        config.ExecConfig("", 1, 1, command),
        protocol.ShimConfig("", ""),
    )
    container, *_ = [config.from_json(type(sample), config.to_json(sample)) for sample in samples]
    assert isinstance(container, config.Config)
    rootfs.plan(container, cgroups.manager("/").paths())
    streams = Streams(Loop(), None, terminal=False, stdin_once=False)
    for stream in (protocol.STDOUT, protocol.STDERR):
        reader, writer = os.pipe2(os.O_CLOEXEC)
        streams.open_output(reader, stream)
        os.write(writer, b"\n")
        os.close(writer)
    streams.close()
    json.dumps({"run": 1, "at": timestamp(), "boot": _boot_id(), "start": process.start_time(os.getpid())})


def _boot_id() -> str:
    """This boot's id: pids and start times of another boot mean nothing (random(4))."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()

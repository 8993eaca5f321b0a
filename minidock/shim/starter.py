"""The starter: carries out one start or exec, hands what has come of it to its shim, and ends, as runc does for
containerd's shim.

::

    zygote ── fork ──> shim ── fork ──> starter                                        init
                        │ waits          │ reads the request; log, pipes, socket
                        │                │ clone3(CLONE_PARENT: the shim's child) ─────> sets itself up
                        │                │ go (after "created", if a network is due) ──> seccomp, user, capabilities
                        │<── descriptors (SCM_RIGHTS) ──┤
                        │                × ends                                         execve
                        │ run.json, "started"
                        │ poll loop                                                     the command
                        │ waitid, exit.json                                             ×

Why two processes: a start writes to some 800 pages that it shared with the zygote, and each becomes a page of its own. They are
the starter's and go with it; the shim, which may live for months, has written to hardly any. The hand-over costs no time: it
happens while init takes its last steps.

Everything here is undone on any fault, and when the engine hangs up. From the hand-over on that is the shim's to do
(`Shim.begin`). A starter that is killed takes its shim along (which sees the channel end), and that its init.
"""

from __future__ import annotations

import functools
import json
import os
import socket
from contextlib import ExitStack, suppress
from typing import Any

from minidock import errors
from minidock.libcontainer import cgroups, config, decode, devices, rootfs, sync
from minidock.libcontainer.birth import InitProcess
from minidock.libcontainer.cgroups import devices as cgroup_devices
from minidock.libcontainer.container import Stdio, create
from minidock.libcontainer.exec import create_exec
from minidock.linux import process, trace
from minidock.linux.sockets import receive_fds
from minidock.shim import after, jsonlog, protocol
from minidock.shim.jsonlog import timestamp

# Every descriptor that a shim may be handed.
NAMES = ("connection", "attach", "lock", "sync", "log", "pidfd", "listener", "stdin", "stdout", "stderr", "master")


class Starter:
    """Carries out the `request` that came over `connection`, with the descriptors that came along: the shim's end of the first
    attach stream, the container's lock."""

    def __init__(self, connection: socket.socket, request: dict[str, Any], fds: list[int]) -> None:
        self._connection, self._request = connection, request
        self._tracer = trace.from_request(request.get("trace"), "shim")
        self._config = decode.from_dict(protocol.ShimConfig, request["shim"])
        self._spec: config.Config | config.ExecConfig
        if request["op"] == "exec":
            self._spec = decode.from_dict(config.ExecConfig, request["config"])
        else:
            self._spec = decode.from_dict(config.Config, request["config"])
        came = [name for name, there in (("attach", request["attach"]), ("lock", request.get("lock"))) if there]
        # the descriptors that the shim gets, by name
        self._handed: dict[str, int] = {"connection": connection.fileno(), **dict(zip(came, fds, strict=True))}
        self._process: InitProcess | None = None

    def start(self, channel: socket.socket) -> None:
        """Start the process and hand it over through `channel`; or fail, say so, and leave nothing behind."""
        self._channel = channel
        trace.install(self._tracer)
        try:
            with ExitStack() as undo:
                self._create(undo)
                undo.pop_all()
        except protocol.Closed:
            return
        except (OSError, errors.SystemFault) as e:
            with suppress(OSError):
                protocol.send(self._connection, protocol.failure(e, self._steps()))

    def _create(self, undo: ExitStack) -> None:
        """All of a start, in order."""
        what, log, waits = self._spec.process, self._config.log, self._request.get("wait_go")
        if log.driver == "json-file":
            self._handed["log"] = jsonlog.open_file(log.path)
            undo.callback(os.close, self._handed["log"])
        self._listen(undo)
        with ExitStack() as theirs:
            stdio = self._terminal(undo, theirs) if what.tty else self._pipes(undo, theirs)
            if isinstance(self._spec, config.ExecConfig):
                started = create_exec(self._spec, stdio, self._tracer, sibling=True)
            else:
                self._trees = cgroups.hierarchies()  # in our view: the engine may be in another mount namespace
                started = create(self._spec, stdio, self._tracer, sibling=True, trees=self._trees)
            undo.callback(started.destroy)
        self._process = started
        self._handed["pidfd"] = started.pidfd
        if waits:
            self._tell({"event": "created", "pid": started.pid})
        else:
            self._go(started)  # init need not wait for us when it is ready
        started.ready()
        if what.tty:
            self._receive_master(undo)
        if waits:
            message, _ = protocol.receive(self._connection)
            if message.get("op") != "go":
                raise protocol.Closed("the engine did not say go")
            self._go(started)
        self._hand_over(started, undo)

    def _go(self, started: InitProcess) -> None:
        """Let init execute the command as soon as it is ready."""
        if not self._channel.recv(1):  # the shim's word that it no longer dies with the zygote
            raise protocol.Closed("the shim has gone")
        started.tell(sync.GO)

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            protocol.send(self._connection, message)
        except OSError as e:
            raise protocol.Closed("the engine has hung up") from e

    def _hand_over(self, started: InitProcess, undo: ExitStack) -> None:
        """Give the shim the little that it needs, and every descriptor. From here on the start is its to finish."""
        spec, shim = self._spec, os.getppid()
        cgroup = spec.cgroup if isinstance(spec, config.Config) else None
        run = protocol.Running(
            shim_pid=shim,
            shim_start=process.start_time(shim),
            pid=started.pid,
            pid_start=process.start_time(started.pid),
            boot_id=_boot_id(),
            started_at=timestamp(),
        )
        undo.callback(after.forget_run, self._config)
        after.prepare_run(self._config, run)
        self._handed["sync"] = started.sync.sock.fileno()
        handed = protocol.HandOver(
            shim=self._config,
            run=run,
            names=tuple(self._handed),
            tty=spec.process.tty,
            cgroup=cgroup.path if cgroup else "",
            hierarchies=tuple(self._trees) if cgroup else (),
            shared_pid=isinstance(spec, config.Config) and spec.namespaces.pid != config.NEW,
            warnings=tuple(started.warnings),
            trace=self._request.get("trace"),
            steps=tuple(self._tracer.dump()) if self._tracer else (),
            init_steps=tuple(started.trace()),
        )
        protocol.send(self._channel, vars(handed), tuple(self._handed.values()))

    # -- descriptors

    def _pipes(self, undo: ExitStack, theirs: ExitStack) -> Stdio:
        """Three pipes, or /dev/null as stdin; `theirs` closes the container's ends once it has them."""
        if self._config.open_stdin:
            reader, self._handed["stdin"] = os.pipe2(os.O_CLOEXEC)
            undo.callback(os.close, self._handed["stdin"])
        else:
            reader = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        theirs.callback(os.close, reader)
        writers = []
        for name in ("stdout", "stderr"):
            self._handed[name], writer = os.pipe2(os.O_CLOEXEC)
            undo.callback(os.close, self._handed[name])
            theirs.callback(os.close, writer)
            writers.append(writer)
        return Stdio(reader, *writers)

    def _terminal(self, undo: ExitStack, theirs: ExitStack) -> Stdio:
        """A socket over which init sends the master of a pty of the container's own devpts (runc's console socket)."""
        self._console, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        undo.enter_context(self._console)
        theirs.enter_context(end)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        theirs.callback(os.close, null)
        return Stdio(null, null, null, end.fileno())

    def _receive_master(self, undo: ExitStack) -> None:
        _data, fds = receive_fds(self._console, 16, 1)
        self._console.close()
        if not fds:
            raise errors.StartError("console", "", 0, "init sent no terminal")
        self._handed["master"] = fds[0]
        undo.callback(os.close, fds[0])

    def _listen(self, undo: ExitStack) -> None:
        """The shim's own socket, private to root by its folder; a stale one of a killed shim gives way."""
        with trace.step("listen", self._config.socket):
            os.makedirs(os.path.dirname(self._config.socket), 0o700, exist_ok=True)
            undo.callback(after.unlink_socket, self._config)
            with suppress(FileNotFoundError):
                os.unlink(self._config.socket)
            self._listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            with protocol.address(self._config.socket) as address:
                self._listener.bind(address)
            self._listener.listen(128)
        self._handed["listener"] = self._listener.fileno()

    # -- words

    def _steps(self) -> list[dict[str, Any]]:
        """The steps so far, ours and init's."""
        if not self._tracer:
            return []
        return self._tracer.dump() + (self._process.trace() if self._process else [])


def rehearse() -> None:
    """Go through the motions of a start without starting anything: fills caches, and makes the pages ours that it writes to."""
    command = config.Process(args=("true",))
    root = config.RootMount("bind", source="/")
    samples = (
        config.Config("0" * 64, root, command, mounts=(config.Mount("/proc", "proc", "proc"),), cgroup=config.Cgroup("/")),
        config.ExecConfig("", 1, 1, command),
        protocol.ShimConfig("", ""),
    )
    container, *_ = [decode.from_json(type(sample), decode.to_json(sample)) for sample in samples]
    assert isinstance(container, config.Config)
    rootfs.plan(container, cgroups.manager("/").paths())
    cgroup_devices.program(devices.RULES)  # `cgroups.v2` imports that module late
    json.dumps({"run": 1, "at": timestamp(), "boot": _boot_id(), "start": process.start_time(os.getpid())})


@functools.cache
def _boot_id() -> str:
    """This boot's id: pids and start times of another boot mean nothing (random(4))."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()

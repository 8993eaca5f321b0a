"""One shim: watches one process, and tells how it ended. ``protocol.py`` has the drawing and the messages.

A shim lives as long as its container, so it does as little as it can: every page that it writes to is one that it no longer
shares with the others. It starts nothing itself (`starter.py` does); it takes over a running process, and from then on
no engine is needed.

What happens when a shim is killed with SIGKILL: the kernel sends its child SIGKILL (PR_SET_PDEATHSIG, set by init), so no
container is ever without a shim. There is no exit.json then; an engine that finds run.json with a dead shim records
exit code 137. The order at a normal exit is what lets others rely on less than all of it::

    pidfd readable → output drained, log closed → cgroup gone → exit.json → shim.sock gone → "exit" told → release or after-exit

Who has seen the exit event finds the whole log, the file and a free cgroup name.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from minidock import errors
from minidock.libcontainer import cgroups, decode, sync
from minidock.linux import process, trace
from minidock.shim import after, detach, notes, oom, protocol
from minidock.shim.jsonlog import JSONFile, timestamp
from minidock.shim.loop import IN, Loop
from minidock.shim.peer import Peer
from minidock.shim.streams import Client, Streams

_STREAMS = {"stdout": protocol.STDOUT, "stderr": protocol.STDERR, "master": protocol.STDOUT}


class Shim:
    """One container's or exec's monitor, from what the starter has handed over: a message, and descriptors by name.

    `starter` is its pidfd: a child that is ending and has yet to be reaped.
    """

    def __init__(self, message: dict[str, Any], fds: dict[str, int], starter: int) -> None:
        handed = _handed(message)
        self._config, self._run, self._tty, self._cgroup = handed.shim, handed.run, handed.tty, handed.cgroup
        self._shared_pid, self._hierarchies = handed.shared_pid, handed.hierarchies
        self._tracer = trace.from_request(handed.trace, "shim")
        if self._tracer:
            self._tracer.steps += [trace.Step(**step) for step in handed.steps]
            self._tracer.own = len(handed.steps)
            trace.install(self._tracer)
        self._traced = 0
        self._loop = Loop()
        log = self._config.log
        self._log = JSONFile(log.path, log.max_size, log.max_file, fds["log"]) if "log" in fds else None
        self._streams = Streams(self._loop, self._log, terminal=self._tty, stdin_once=self._config.stdin_once)
        for name, stream in _STREAMS.items():
            if name in fds:
                self._streams.open_output(fds[name], stream)
        if "stdin" in fds or "master" in fds:
            self._streams.open_input(fds.get("stdin", fds.get("master", -1)))
        if "attach" in fds:
            sock = socket.socket(fileno=fds["attach"])
            self._streams.attach(self._first_client(sock))
        self._pidfd = fds["pidfd"]
        self._listener = socket.socket(fileno=fds["listener"])
        self._listener.setblocking(False)
        owner = Peer(self._loop, socket.socket(fileno=fds["connection"]), self._heard)
        owner.role = "owner"
        self._peers = {owner}
        self._starter, self._lock = starter, fds.get("lock", -1)
        self._init = sync.Parent(socket.socket(fileno=fds["sync"]))
        self._init.warnings, self._init.steps = list(handed.warnings), list(handed.init_steps)
        self._released = self._exited = self._oom_noted = False

    @classmethod
    def rehearse(cls) -> None:
        """Take over a process that is not there, and let it go: the pages that this writes to are ours before anybody waits."""
        names = ("connection", "listener", "stdout", "sync")
        handed = protocol.HandOver(protocol.ShimConfig("", ""), protocol.Running(0, 0, 0, 0, "", ""), names)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours, theirs:
            protocol.send(ours, vars(handed), (ours.fileno(),) * len(names))
            message, fds = protocol.receive(theirs, max_fds=len(names))
        shim = cls(message, dict(zip(names, fds, strict=True)) | {"pidfd": -1}, -1)
        os.close(fds[names.index("stdout")])
        shim._listener.close()
        shim._init.sock.close()
        for peer in shim._peers:
            peer.close()

    def _first_client(self, sock: socket.socket) -> Client:
        """The client that was there before the start."""
        wants = self._config.attach
        keys = detach.parse(self._config.detach_keys) if self._tty else b""
        stdin = self._config.open_stdin and "stdin" in wants
        return Client(sock, stdin=stdin, stdout="stdout" in wants, stderr="stderr" in wants, keys=keys)

    def begin(self) -> None:
        """Wait until init has become the command and say "started": from then on there is no way back. Otherwise take the start
        back, say why, and end."""
        try:
            self._init.executed()
            after.publish_run(self._config)
            told = {key: getattr(self._run, key) for key in ("pid", "pid_start", "started_at")}
            warnings, steps = self._init.warnings, self._steps() + self._init.steps
            for owner in self._peers:
                if not owner.tell({"event": "started", **told, "warnings": warnings, "trace": steps}):
                    raise protocol.Closed("the engine has hung up")
        except (OSError, errors.SystemFault) as e:
            self._take_back(e)
        if self._lock >= 0:
            os.close(self._lock)

    def _take_back(self, error: OSError | errors.SystemFault) -> NoReturn:
        """Undo what the starter has made, and say why; the lock is ours until we end.

        run.json first: whoever looks meanwhile must not take it for a process that runs, and wait for its exit.
        """
        _attempt("run.json", lambda: after.forget_run(self._config))
        _attempt("init", lambda: process.end(self._pidfd))
        self._clean_up()
        _attempt("socket", lambda: after.unlink_socket(self._config))
        for owner in self._peers:
            owner.tell(protocol.failure(error, self._steps() + self._init.steps))
        os._exit(0)

    def run(self) -> NoReturn:
        """Serve until the process has ended and everybody who waits for that has been told; then end or become after-exit."""
        self._loop.watch(self._listener.fileno(), IN, self._accept)
        self._loop.watch(self._pidfd, IN, self._ended)
        self._loop.watch(self._starter, IN, self._reap_starter)
        _attempt("oom", self._watch_oom)
        while not self._exited:
            self._loop.turn()
        self._finish()
        while not self._released and any(p.role == "owner" for p in self._peers):
            self._loop.turn()
        hand_over = not self._released and after.due(self._config)
        # A client that reads slowly still gets everything, but what is due after the exit does not wait for it.
        if hand_over and (not self._streams.unserved or os.fork() == 0):
            after.become(self._config.after_exit)
        while self._streams.unserved:
            self._loop.turn()
        os._exit(0)

    def _ended(self, _events: int) -> None:
        self._exited = True

    def _watch_oom(self) -> None:
        mounts = [tree.mountpoint for tree in self._hierarchies if "memory" in tree.controllers]
        if not mounts or not self._cgroup or not self._config.records:
            return
        ooms = oom.OomEvents(mounts[0] + self._cgroup)

        def look(left: tuple[float, ...]) -> None:
            if ooms.look():
                self._note_oom()
            elif left:
                self._loop.after(left[0], lambda: heard(left[1:]))

        def heard(left: tuple[float, ...]) -> None:
            _attempt("oom", lambda: look(left))

        self._loop.watch(ooms.fd, ooms.events, lambda _events: heard(oom.MOMENTS))
        heard(oom.MOMENTS[-2:-1])  # the command may have been faster than we were

    def _note_oom(self) -> None:
        self._oom_noted = True
        id = os.path.basename(self._config.state_dir)
        notes.note(self._config.records, id, "oom", self._config.attributes)

    def _reap_starter(self, _events: int) -> None:
        """Its end takes a millisecond (its pages), in which a short command has ended too: that is not waited for."""
        self._loop.forget(self._starter)
        _reap(self._starter)
        os.close(self._starter)

    def _finish(self) -> None:
        """Reap, drain, clean up, record, tell: the order of the module's docstring. One that fails does not stop the next."""
        self._loop.forget(self._pidfd)
        event = {"code": _reap(self._pidfd), "oom_killed": self._clean_up(), "error": self._complaint()}
        event["finished_at"] = timestamp()
        _attempt("exit.json", lambda: after.record_exit(self._config, event))
        _attempt("socket", lambda: after.unlink_socket(self._config))
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        for peer in list(self._peers):
            peer.tell({"event": "exit", **event, "trace": self._steps()})
            if peer.role != "owner":
                self._forget(peer)

    def _clean_up(self) -> bool:
        """End what is left of the container, take all of its output and remove its cgroup. True if the OOM killer was there."""
        if not self._cgroup:
            _attempt("output", self._streams.drain)
            return False
        manager = cgroups.manager(self._cgroup, self._hierarchies)
        if self._shared_pid:  # with its own pid namespace the kernel has done that when pid 1 ended
            _attempt("kill", manager.kill)
        _attempt("output", self._streams.drain)
        kills: list[int] = []
        _attempt("oom", lambda: kills.append(manager.oom_kills()))
        if any(kills) and self._config.records and not self._oom_noted:  # somebody else's limit, but a victim here
            _attempt("oom", self._note_oom)
        if not _attempt("cgroup", manager.remove):
            _attempt("cgroup", manager.remove)
        return sum(kills) > 0

    def _complaint(self) -> str:
        if self._log and self._log.lost:
            return f"log: {self._log.lost} entries lost: {os.strerror(self._log.error).lower()}"
        return ""

    def _steps(self) -> list[dict[str, Any]]:
        """Our steps since the last message that carried some."""
        if not self._tracer:
            return []
        steps = self._tracer.dump()[self._traced :]
        self._traced += len(steps)
        return steps

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
        keys = detach.parse(message.get("detach_keys") or "") if self._tty else b""
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
        peer.tell({"run": self._config.run, **vars(self._run)})
        self._forget(peer)


def _handed(message: dict[str, Any]) -> protocol.HandOver:
    """The starter's message as it was made. By hand: what reads annotations would touch pages that a shim need not own."""
    message["shim"] = decode.from_dict(protocol.ShimConfig, message["shim"])
    message["run"] = protocol.Running(**message["run"])
    message["hierarchies"] = tuple(cgroups.Hierarchy(*tree) for tree in message["hierarchies"])
    return protocol.HandOver(**message)


def _reap(pidfd: int) -> int:
    """The status as a shell would say it: 0-255, or 128 + signal."""
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    assert result is not None  # only WNOHANG returns nothing
    return result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status


def _attempt(what: str, action: Callable[[], None]) -> bool:
    """Do one thing of the end. A fault goes to the log: nobody is there to raise it to. True if it worked."""
    try:
        action()
    except (OSError, errors.SystemFault) as e:
        after.complain(f"{what}: {e}")
        return False
    return True

"""The zygote: a Python with everything imported that forks a shim for each container, because a start has no 60 ms for imports.

::

    engine ── spawns ──> starter ── fork ──> zygote   (setsid; own cgroup; outlives engine, session and login)
                            × exits             │
                                                ├── keeper         holds the common pages while any shim lives
                                                ├── shim           one for each connection; its starter reads the request,
                                                ├── shim           so that a slow engine stalls nobody
                                                └── shim ── starter   the spare: forked before anybody asks

One zygote serves one instance and one version of the code: its socket is ``RUN/zygote-<version>.sock``. It has one thread (a
fork copies no other), opens nothing after its start, and after ``gc.freeze()`` the collector never touches the pages that all
shims share. It ends on SIGTERM, or when its socket's file was removed or replaced; the shims do not notice.

**The keeper.** A page is cheap while two processes share it. Should the zygote die, the last shim would own all that the
zygote had imported (about 7 MB) alone. The keeper is a fork that only waits at a pipe whose other end the zygote and all shims
hold: it owns nothing, keeps those pages shared, and ends with the last of them.

**The executable.** A container's init is a fork of a shim, so for a moment ``/proc/PID/exe`` inside the container is the
host's Python; CVE-2019-5736 overwrote runc that way. Whoever starts the zygote executes it from a descriptor that can never be
opened for writing (``linux/executable.py``).

Faults go to ``RUN/zygote.log``, which is standard error here and in every shim.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from minidock import errors
from minidock.libcontainer import cgroups
from minidock.linux import process
from minidock.shim import after, protocol
from minidock.shim.shim import Shim
from minidock.shim.starter import NAMES, Starter, rehearse


def main(argv: list[str]) -> None:
    """``zygote INSTANCE VERSION SOCKET READY_FD``: detach, listen at SOCKET, write one byte to READY_FD, serve for ever."""
    instance, version, path, ready = argv[0], argv[1], argv[2], int(argv[3])
    if os.fork():
        os._exit(0)  # the engine reaps this one; the zygote is nobody's child
    process.close_range(ready + 1)  # whatever the engine had inherited and passes on
    os.setsid()
    os.chdir("/")
    os.umask(0o022)
    process.set_name("minidock-zygote")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # shims need no reaping
    _join_cgroup(instance)
    listener = _listen(path)
    _warm_up()
    keeper = _fork_keeper(listener, ready)
    os.write(ready, b"1")
    os.close(ready)
    _serve(listener, path, version, keeper)


def _join_cgroup(instance: str) -> None:
    """Away from the cgroups of the session that happened to start us: it may be frozen, limited or killed as one."""
    path = f"/{instance}/shims"
    try:
        cgroups.ensure_parent(f"/{instance}")
        cgroups.ensure(path).join(os.getpid())  # v2 too: nobody cloned us into it
    except (OSError, errors.SystemFault) as e:
        after.complain(f"zygote: cgroup {path}: {e}")


def _listen(path: str) -> socket.socket:
    """The listening socket, put at `path` when it is ready to be connected to, in place of a dead zygote's."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    temporary = f"{path}.{os.getpid()}"
    with protocol.address(temporary) as address:
        listener.bind(address)
    os.chmod(temporary, 0o600)
    listener.listen(512)
    os.rename(temporary, path)
    return listener


def _warm_up() -> None:
    """Run what builds caches once, here, so that it is shared and not done again by every shim."""
    rehearse()
    gc.collect()
    gc.freeze()
    gc.disable()


def _fork_keeper(listener: socket.socket, ready: int) -> int:
    """Fork the keeper; returns the end of the pipe that all of us hold and nobody writes to."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        os.close(writer)
        os.close(ready)
        listener.close()
        process.set_name("minidock-keeper")
        while True:
            with suppress(InterruptedError):
                os.read(reader, 1)
                os._exit(0)
    os.close(reader)
    return writer


def _serve(listener: socket.socket, path: str, version: str, _keeper: int) -> NoReturn:
    """Keep one spare ready; fork for who comes while it is not; until our socket's file is no longer ours."""
    own = os.stat(path)

    def still_ours() -> bool:
        with suppress(OSError):
            now = os.stat(path)
            return (now.st_dev, now.st_ino) == (own.st_dev, own.st_ino)
        return False

    def look(_signal: int, _frame: object) -> None:
        if not still_ours():
            os._exit(0)

    def stop(_signal: int, _frame: object) -> NoReturn:
        if still_ours():
            os.unlink(path)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGIO, look)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    # dnotify, fcntl(2): unlike inotify it has no limit of instances for each user
    fcntl.fcntl(folder, fcntl.F_NOTIFY, fcntl.DN_DELETE | fcntl.DN_RENAME | fcntl.DN_MULTISHOT)
    look(0, None)
    listener.setblocking(False)
    zygote = os.getpid()
    while True:
        taken, end = os.pipe2(os.O_CLOEXEC)
        if os.fork() == 0:
            os.close(taken)
            os.close(folder)
            _be_shim(listener, None, end, version, zygote)
        os.close(end)
        os.read(taken, 1)
        for connection in _while_it_starts(taken, listener):
            if os.fork() == 0:
                os.close(folder)
                os.close(taken)
                _be_shim(listener, connection, -1, version, zygote)
            connection.close()
        os.close(taken)


def _while_it_starts(taken: int, listener: socket.socket) -> Iterator[socket.socket]:
    """Who connects while there is no spare; returns when the one that was taken has done its start (or has died).

    The next spare is not made before: on a machine of two cores it would take one from the container that somebody waits for.
    """
    poll = select.poll()
    poll.register(taken, 0)  # the end of file alone
    poll.register(listener, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll()]
        if listener.fileno() in ready:
            with suppress(BlockingIOError):
                yield listener.accept()[0]
        elif taken in ready:
            return


def _be_shim(listener: socket.socket, connection: socket.socket | None, end: int, version: str, zygote: int) -> NoReturn:
    """In a fork: fork the starter, wait for what it hands over, and watch over that.

    With a `connection` the starter serves it. Without, we are the spare: the starter waits for the next one at `listener`,
    writes to `end` when it has it, and both close it when the start is over. A fork costs 0.5 ms, and then about 1 µs for the
    first write to each page that was shared: a spare has that behind it before anybody waits for it. Until then both die with
    the zygote.
    """
    _die_with(zygote)
    process.set_name("minidock-spare")
    _leave_zygote()
    channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    parent = os.getpid()
    starter = os.fork()
    if starter == 0:
        _die_with(parent)
        channel.close()
        _be_starter(theirs, listener, connection, end, version, zygote)
    theirs.close()
    listener.close()
    if connection:
        connection.close()
    if connection is None:
        Shim.rehearse()
    if not channel.recv(1):
        os._exit(0)
    process.set_parent_death_signal(0)
    process.set_name("minidock-shim")
    watched = process.pidfd_open(starter)  # what can fail comes before our word: until then the start is taken back
    channel.send(b"1")
    with _last_frame():
        try:
            handed, fds = protocol.receive(channel, max_fds=len(NAMES))
        except ConnectionError:
            _end_children()
            os._exit(0)
        channel.close()
        shim = Shim(handed, dict(zip(handed["names"], fds, strict=True)), watched)
        shim.begin()
        if end >= 0:
            os.close(end)
        shim.run()


def _end_children() -> None:
    """There was no hand-over. The starter has undone what it made, or was killed; the process that it made is ours to reap.

    Left to the machine's init, a zombie of an exec would keep its container from ending until that one looks.
    """
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        for pid in file.read().split():
            os.kill(int(pid), signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:
            os.wait()


def _be_starter(
    channel: socket.socket, listener: socket.socket, connection: socket.socket | None, end: int, version: str, zygote: int
) -> NoReturn:
    """In the shim's fork: take a connection, carry out its request, hand over."""
    if connection is None:
        rehearse()
        watched = process.pidfd_open(zygote)
        connection = _wait_for_connection(listener)
        _live_as_long_as(watched)
        os.write(end, b"1")
    process.set_name("minidock-start")
    listener.close()
    with _last_frame():
        channel.send(b"1")
        message, fds = protocol.receive(connection, max_fds=2)
        if message.get("op") == "version":
            protocol.send(connection, {"version": version, "pid": zygote})
        elif message.get("op") in ("start", "exec"):
            Starter(connection, message, fds).start(channel)
        else:
            protocol.send(connection, {"error": f"unknown op {message.get('op')!r}"})
    os._exit(0)


def _wait_for_connection(listener: socket.socket) -> socket.socket:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        poll.poll()
        with suppress(BlockingIOError):  # the zygote may have been faster
            return listener.accept()[0]


def _live_as_long_as(zygote: int) -> None:
    """Our shim dies with the zygote, and we with it: soon, but not at once. Do not take a request in between: an unread one
    tells the engine that nothing was begun. `zygote` is a pidfd."""
    if select.select([zygote], [], [], 0)[0]:
        os._exit(0)
    os.close(zygote)


def _die_with(parent: int) -> None:
    """From now on we end when `parent` does; at once if it has already, before we could ask to be told."""
    process.set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _leave_zygote() -> None:
    """What the zygote does with signals is not ours."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGIO):
        signal.signal(number, signal.SIG_IGN)  # a shim ends when its container has
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # children must be waited for again


@contextmanager
def _last_frame() -> Iterator[None]:
    """Nothing may get out of here and into the zygote's code, of which we are a copy."""
    try:
        yield
    except (protocol.Closed, BrokenPipeError):
        os._exit(0)  # the other side has gone; what was begun is undone
    except BaseException as e:  # noqa: BLE001 - the last frame of this process
        sys.excepthook(type(e), e, e.__traceback__)
        os._exit(1)
    os._exit(0)

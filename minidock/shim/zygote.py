"""The zygote: a Python with everything imported that forks a shim for each container, because a start has no 60 ms for imports.

::

    engine ── spawns ──> launched ── fork ──> zygote   (setsid; own cgroup; outlives engine, session and login)
                            × exits             │
                                                ├── keeper            holds the common pages while any shim lives
                                                ├── shim              one for each connection; its starter reads the request,
                                                ├── shim              so that a slow engine stalls nobody
                                                └── spare ── starter  the next shim, forked before anybody asks (spare.py)

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
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

from minidock import errors
from minidock.libcontainer import cgroups
from minidock.linux import process
from minidock.shim import after, protocol, spare
from minidock.shim.starter import rehearse

# How many forks stand ready: one for a start, and one for the next, which may come before the first is replaced.
_SPARES = 2
# Seconds after which a start that is not over is no short command, and no reason to wait any longer.
_MOMENT = 0.03


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
    """Keep spares ready; fork for who comes while there is none; until our socket's file is no longer ours.

    New spares are made when the starts are over, and short commands too (or a `_MOMENT` has passed): on a machine of two cores
    they would take one from the container that somebody waits for.
    """
    watched = _end_with(path)
    listener.setblocking(False)
    zygote = os.getpid()
    spares: set[int] = set()  # for each that stands ready, a pipe on which it says that it was taken
    taken: set[int] = set()  # the same pipe, whose end of file says that all is over
    while True:
        while not taken and len(spares) < _SPARES:
            reader, writer = os.pipe2(os.O_CLOEXEC)
            if os.fork() == 0:
                _close({watched, reader, *spares})
                spare.stand_by(spare.Post(listener, version, zygote, taken=writer))
            os.close(writer)
            spares.add(reader)
        ready = _wait(spares | taken | ({listener.fileno()} if not spares else set()), _MOMENT if taken else None)
        for connection in _accept(listener) if listener.fileno() in ready else ():
            if os.fork() == 0:
                _close({watched, *taken})
                spare.stand_by(spare.Post(listener, version, zygote, connection))
            connection.close()
        over = ready & taken if ready else set(taken)
        gone = {reader for reader in ready & spares if not os.read(reader, 1)}
        taken |= ready & spares - gone
        spares -= ready
        taken -= over
        _close(over | gone)


def _wait(fds: set[int], seconds: float | None) -> set[int]:
    """Those of `fds` that can be read or have ended; none of them when so much time has passed."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll(None if seconds is None else seconds * 1000)}


def _accept(listener: socket.socket) -> Iterator[socket.socket]:
    """Who waits at the socket, unless a spare was faster."""
    with suppress(BlockingIOError):
        yield listener.accept()[0]


def _close(fds: set[int]) -> None:
    for fd in fds:
        os.close(fd)


def _end_with(path: str) -> int:
    """See to it that we end on SIGTERM, and when the socket's file at `path` is no longer ours. The descriptor returned is what
    the folder is watched with."""
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
    return folder

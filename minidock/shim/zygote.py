"""The zygote: a Python with everything imported that forks a shim for each container, because a start has no 60 ms for imports.

::

    engine ── spawns ──> starter ── fork ──> zygote   (setsid; own cgroup; outlives engine, session and login)
                            × exits             │
                                                ├── keeper      holds the common pages while any shim lives
                                                ├── shim        one for each connection accepted: reads its request itself,
                                                ├── shim        so that a slow engine stalls nobody
                                                …

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
from contextlib import suppress
from typing import NoReturn

from minidock.libcontainer import cgroups
from minidock.libcontainer.config import Cgroup
from minidock.linux import process
from minidock.shim import after, protocol
from minidock.shim.shim import Shim, rehearse


def main(argv: list[str]) -> None:
    """``zygote INSTANCE VERSION SOCKET READY_FD``: detach, listen at SOCKET, write one byte to READY_FD, serve for ever."""
    instance, version, path, ready = argv[0], argv[1], argv[2], int(argv[3])
    if os.fork():
        os._exit(0)  # the engine reaps this one; the zygote is nobody's child
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
        manager = cgroups.manager(path)
        manager.create(Cgroup(path))
        manager.join_self()
    except OSError as e:
        after.complain(f"zygote: cgroup {path}: {e}")


def _listen(path: str) -> socket.socket:
    """The listening socket, put at `path` when it is ready to be connected to, in place of a dead zygote's."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    temporary = f"{path}.{os.getpid()}"
    listener.bind(temporary)
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
    while True:
        spare = _fork_spare(listener, folder, version)
        os.read(spare, 1)  # end of file: the spare has been taken, or has died
        os.close(spare)
        with suppress(BlockingIOError):
            while True:
                connection, _ = listener.accept()
                if os.fork() == 0:
                    _leave_zygote(listener, folder)
                    _become_shim(connection, version)
                connection.close()


def _fork_spare(listener: socket.socket, folder: int, version: str) -> int:
    """Fork a shim before it is asked for; returns a pipe that ends when it has been.

    A fork costs 0.5 ms, and then 3 µs for the first write to each page that was shared: the spare has both behind it.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    zygote = os.getpid()
    if os.fork():
        os.close(writer)
        return reader
    os.close(reader)
    process.set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != zygote:
        os._exit(0)
    rehearse()
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        poll.poll()
        with suppress(BlockingIOError):  # the zygote may have been faster
            connection, _ = listener.accept()
            break
    process.set_parent_death_signal(0)
    os.close(writer)
    _leave_zygote(listener, folder)
    _become_shim(connection, version)


def _leave_zygote(listener: socket.socket, folder: int) -> None:
    """In a fork: what was the zygote's is not ours."""
    listener.close()
    os.close(folder)
    os.setsid()
    process.set_name("minidock-shim")
    # A shim ends when its container has; and children must be waited for again.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGIO):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _become_shim(connection: socket.socket, version: str) -> NoReturn:
    """In the fork: read the request and carry it out. Never returns into the zygote's loop."""
    try:
        message, fds = protocol.receive(connection, max_fds=1)
        if message.get("op") == "version":
            protocol.send(connection, {"version": version, "pid": os.getppid()})
        elif message.get("op") in ("start", "exec"):
            shim = Shim(connection, message, socket.socket(fileno=fds[0]) if fds else None)
            if shim.start():
                shim.run()
        else:
            protocol.send(connection, {"error": f"unknown op {message.get('op')!r}"})
    except (protocol.Closed, BrokenPipeError):
        pass  # the engine has gone; what was begun is undone
    except BaseException as e:  # noqa: BLE001 - the last frame of this process
        sys.excepthook(type(e), e, e.__traceback__)
        os._exit(1)
    os._exit(0)

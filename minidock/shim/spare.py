"""The fork that becomes a shim, with its starter; as the spare, both stand ready before anybody asks.

::

    zygote ── fork ──> spare ── fork ──> its starter
                        │                 │ waits for a connection
                        │                 │ tells the zygote that it has one
                        │<─── "mine" ─────┤ reads the request; start or exec (starter.py)
                      shim                │
                        │<── hand-over ───┤
                        │                 × ends
                        │ watches the process (shim.py)

A fork costs 0.5 ms, and then about 1 µs for the first write to each page that was shared: a spare has that behind it before
anybody waits for it. Until it has a connection it dies with the zygote, and from then on with nobody.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, NoReturn

from minidock.linux import process
from minidock.shim import protocol
from minidock.shim.shim import Shim
from minidock.shim.starter import NAMES, Starter, rehearse


class Post(NamedTuple):
    """What a fork of the zygote is given: where connections come in, and what to answer to ``version``.

    A spare has no `connection` yet; it says at the pipe `taken` that it has one, and the end of that pipe is the end of the
    shim. Who was forked for a connection, because there was no spare, has no such pipe (-1).
    """

    listener: socket.socket
    version: str
    zygote: int
    connection: socket.socket | None = None
    taken: int = -1


def stand_by(post: Post) -> NoReturn:
    """In a fork of the zygote: fork the starter, wait for what it hands over, and watch over that."""
    _die_with(post.zygote)
    process.set_name("minidock-spare")
    _leave_zygote()
    channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _die_with(parent)
        channel.close()
        _be_starter(theirs, post)
    theirs.close()
    post.listener.close()
    if post.connection:
        post.connection.close()
    else:
        Shim.rehearse()
    if not channel.recv(1):
        os._exit(0)
    process.set_parent_death_signal(0)
    process.set_name("minidock-shim")
    watched = process.pidfd_open(child)  # what can fail comes before our word: until then the start is taken back
    channel.send(b"1")
    with _last_frame():
        _be_shim(channel, watched)


def _be_starter(channel: socket.socket, post: Post) -> NoReturn:
    """In the shim's fork: take a connection, carry out its request, hand over."""
    connection = post.connection or _take_connection(post)
    process.set_name("minidock-start")
    post.listener.close()
    with _last_frame():
        channel.send(b"1")
        message, fds = protocol.receive(connection, max_fds=2)
        if message.get("op") == "version":
            protocol.send(connection, {"version": post.version, "pid": post.zygote})
        elif message.get("op") in ("start", "exec"):
            Starter(connection, message, fds).start(channel)
        else:
            protocol.send(connection, {"error": f"unknown op {message.get('op')!r}"})
    os._exit(0)


def _take_connection(post: Post) -> socket.socket:
    """The spare's long wait."""
    rehearse()
    watched = process.pidfd_open(post.zygote)
    epoll = select.epoll()
    epoll.register(post.listener, select.EPOLLIN | select.EPOLLEXCLUSIVE)  # one connection wakes one spare
    while True:
        epoll.poll()
        with suppress(BlockingIOError):  # the zygote may have been faster
            connection = post.listener.accept()[0]
            break
    epoll.close()
    _live_as_long_as(watched)
    os.write(post.taken, b"1")
    return connection


def _live_as_long_as(zygote: int) -> None:
    """Our shim dies with the zygote, and we with it: soon, but not at once. Do not take a request in between: an unread one
    tells the engine that nothing was begun. `zygote` is a pidfd."""
    if select.select([zygote], [], [], 0)[0]:
        os._exit(0)
    os.close(zygote)


def _be_shim(channel: socket.socket, starter: int) -> NoReturn:
    """Take over what the starter (a pidfd) hands over, and run."""
    try:
        message, fds = protocol.receive(channel, max_fds=len(NAMES))
    except ConnectionError:
        _end_children()
        os._exit(0)
    channel.close()
    shim = Shim(message, dict(zip(message["names"], fds, strict=True)), starter)
    shim.begin()
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

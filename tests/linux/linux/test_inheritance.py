"""What we open is ours alone: no program that is executed later inherits it. Python sees to that for what it opens itself;
what is opened by a raw system call needs the flag."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from minidock.daemon.base.watch import watch
from minidock.linux import inotify, mount, process, sockets, tty
from minidock.linux.files import write_atomic
from minidock.linux.openat2 import openat2


@contextmanager
def root_directory() -> Iterator[int]:
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def opened_by_openat2() -> int:
    with root_directory() as top:
        return openat2(top, "etc", os.O_RDONLY)


def mounted() -> int:
    fs = mount.fsopen("tmpfs")
    try:
        assert not os.get_inheritable(fs)
        mount.fsconfig_create(fs)
        return mount.fsmount(fs)
    finally:
        os.close(fs)


def slave() -> int:
    with ExitStack() as stack:
        master = tty.openpt()
        stack.callback(os.close, master)
        tty.unlockpt(master)
        return tty.open_slave(master)


def received() -> int:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, root_directory() as top:
        socket.send_fds(ours, [b"x"], [top])
        _data, fds = sockets.receive_fds(theirs, 1, 4)
    return fds[0]


OPENING: dict[str, Callable[[], int]] = {
    "openat2": opened_by_openat2,
    "fsmount": mounted,
    "open_tree": lambda: mount.open_tree("/etc"),
    "open_slave": slave,
    "receive_fds": received,
    "pidfd_open": lambda: process.pidfd_open(os.getpid()),
    "inotify_init1": inotify.inotify_init1,
}


@pytest.mark.parametrize("name", OPENING)
def test_no_program_inherits_it(name: str) -> None:
    fd = OPENING[name]()
    try:
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_a_file_that_is_renamed_into_place_wakes_who_watches(tmp_path: Path) -> None:
    write_atomic(tmp_path / "outside", "x")
    (tmp_path / "watched").mkdir()
    with watch(tmp_path / "watched") as changes:
        assert changes._fd is not None
        os.rename(tmp_path / "outside", tmp_path / "watched" / "exit.json")
        assert select.select([changes._fd], [], [], 0)[0]

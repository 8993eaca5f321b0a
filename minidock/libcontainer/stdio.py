"""A process's standard streams and its terminal."""

from __future__ import annotations

import os
import socket
import stat
from typing import NamedTuple

from minidock.linux import mount, tty
from minidock.linux.openat2 import openat2


class Stdio(NamedTuple):
    """Descriptors for the process. Without a tty: its stdin, stdout and stderr. With one: `console`, a unix stream socket
    over which init sends the master of the pty that it opened in the container's own devpts (as runc's console socket)."""

    stdin: int
    stdout: int
    stderr: int
    console: int = -1

    def fds(self) -> tuple[int, int, int]:
        """What becomes descriptors 0, 1 and 2."""
        return self.stdin, self.stdout, self.stderr


def open_console(root: int, console: int, rows: int, cols: int) -> int:
    """Open a pty in the devpts below the root directory `root`, send the master over `console`, return the slave."""
    master = openat2(root, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY)
    try:
        tty.unlockpt(master)
        slave = tty.open_slave(master)
        if rows and cols:
            tty.set_size(slave, rows, cols)
        with socket.socket(fileno=os.dup(console)) as sock:
            socket.send_fds(sock, [b"\0"], [master])
    finally:
        os.close(master)
    return slave


def bind_console(root: int, slave: int) -> None:
    """Make the terminal the container's /dev/console, as a bind mount (docker and runc do so for every tty)."""
    dev = openat2(root, "/dev", os.O_DIRECTORY | os.O_RDONLY)
    try:
        os.close(os.open("console", os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o620, dir_fd=dev))
        target = os.open("console", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dev)
    finally:
        os.close(dev)
    tree = mount.open_tree("", dirfd=slave)
    try:
        mount.move_mount(tree, target)
    finally:
        os.close(tree)
        os.close(target)


def install(fds: tuple[int, int, int], terminal: bool) -> None:
    """Put `fds` in the places of 0, 1 and 2 (no two get into each other's way); a `terminal` becomes our controlling one."""
    high = [fd if fd > 2 else os.dup(fd) for fd in fds]
    for number, fd in enumerate(high):
        os.dup2(fd, number, inheritable=True)
    if terminal:
        tty.set_controlling(0)


def give(fds: tuple[int, int, int], uid: int | None) -> None:
    """Let `uid` reopen its streams through /dev/stdout (a pipe is made by root, mode 0600), as docker does.

    Only pipes and terminals: /dev/null and files stay whose they are. In a user namespace we may not give away what is
    another's; the parent, who may, has given it to the namespace's root before.
    """
    for fd in fds:
        status = os.fstat(fd)
        if uid is not None and status.st_uid != uid and (stat.S_ISFIFO(status.st_mode) or os.isatty(fd)):
            try:
                os.fchown(fd, uid, -1)
            except PermissionError:
                continue

"""Pseudo-terminals: pty(7), ioctl_tty(2).

A pty is two ends. Whoever plays the keyboard and screen holds the *master*; the program sees the *slave*, a terminal. Both
belong to one instance of devpts, and a container has its own, so the master must be opened at the container's
``/dev/pts/ptmx``: then its ``/dev/pts/0`` exists inside, and ``tty`` and ``ps`` name it rightly.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios

from minidock.linux.trace import traced

# include/uapi/asm-generic/ioctls.h (the same on x86 and arm64)
TIOCGPTN = 0x80045430
TIOCSPTLCK = 0x40045431
TIOCGPTPEER = 0x5441


@traced
def openpt(path: str = "/dev/ptmx", dirfd: int | None = None) -> int:
    """Open a new pty at the multiplexer `path`; returns the master (posix_openpt(3)). ENOSPC: no pty is free."""
    return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=dirfd)


@traced
def unlockpt(master: int) -> None:
    """Allow the slave to be opened (unlockpt(3); TIOCSPTLCK of ioctl_tty(2))."""
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))


@traced
def ptsname(master: int) -> str:
    """The slave's name, ``/dev/pts/N`` in that devpts instance (ptsname(3); TIOCGPTN of ioctl_tty(2))."""
    (number,) = struct.unpack("i", fcntl.ioctl(master, TIOCGPTN, b"\0" * 4))
    return f"/dev/pts/{number}"


@traced
def open_slave(master: int) -> int:
    """Open the slave of `master` without any path (TIOCGPTPEER of ioctl_tty(2), Linux 4.13): no link can mislead it."""
    return fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


@traced
def set_controlling(slave: int) -> None:
    """Make the terminal the controlling one of our session, which must have none yet (TIOCSCTTY of ioctl_tty(2))."""
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


@traced
def set_size(fd: int, rows: int, columns: int) -> None:
    """Set the window size in characters; the foreground group gets SIGWINCH if it changed (TIOCSWINSZ)."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def get_size(fd: int) -> tuple[int, int]:
    """(rows, columns) of the window (TIOCGWINSZ)."""
    rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8))
    return rows, columns

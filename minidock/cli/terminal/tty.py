"""The terminal on our side: is there one, how large is it, raw mode. Source: termios(3), tty_ioctl(4); docker/cli streams."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def is_terminal(fd: int) -> bool:
    """True if `fd` is open and a terminal."""
    try:
        return os.isatty(fd)
    except OSError:
        return False


def size(fd: int = 1) -> tuple[int, int]:
    """(rows, columns) of the terminal at `fd`; (0, 0) if it has none."""
    try:
        found = os.get_terminal_size(fd)
    except OSError:
        return 0, 0
    return found.lines, found.columns


@contextmanager
def raw(fd: int) -> Iterator[None]:
    """Raw mode inside the ``with``: every key goes to the container's own terminal, which echoes and makes signals.

    Nothing happens if `fd` is no terminal. The mode before comes back however the block is left.
    """
    if not is_terminal(fd):
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(fd)
    tty.setraw(fd, termios.TCSANOW)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)

"""A user at a terminal: a program on a real pty, typed at and read by waiting for what it says."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from typing import Any

PATIENCE = 30.0  # seconds until a wait is a failure


class Terminal:
    """A program whose controlling terminal is a pty of `rows` × `columns`. Use in a ``with``."""

    def __init__(self, args: list[str], env: Mapping[str, str], rows: int = 30, columns: int = 100) -> None:
        self.master, slave = pty.openpty()
        self._size(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.seen = ""
        self.slave = slave
        self.process = subprocess.Popen(
            args, stdin=slave, stdout=slave, stderr=slave, env=dict(env), start_new_session=True, preexec_fn=self._control
        )

    @staticmethod
    def _control() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def _size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows: int, columns: int) -> None:
        """The user pulls at the window: the kernel sends SIGWINCH to the foreground."""
        self._size(rows, columns)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, pattern: str) -> re.Match[str]:
        """Read until `pattern` has come; what was read up to its end is used up."""
        deadline = time.monotonic() + PATIENCE
        while not (match := re.search(pattern, self.seen)):
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} did not come; there was: {self.seen!r}")
        self.seen = self.seen[match.end() :]
        return match

    def _read(self, deadline: float) -> bool:
        if not select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def exit_code(self) -> int:
        """Wait for the end, reading on meanwhile (a full pty would stop it)."""
        deadline = time.monotonic() + PATIENCE
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while True:
                ready = select.select([self.master, pidfd], [], [], max(0, deadline - time.monotonic()))[0]
                if not ready:
                    raise AssertionError(f"it did not end; there was: {self.seen!r}")
                if self.master in ready:
                    self._read(deadline)
                elif pidfd in ready:
                    return self.process.wait()
        finally:
            os.close(pidfd)

    def mode(self) -> list[Any]:
        """The terminal's settings now (to be compared with `before`)."""
        return termios.tcgetattr(self.slave)

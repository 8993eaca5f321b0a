"""What can go wrong with a virtual machine, as exceptions of their own (this package stands beside minidock, not above it)."""

from __future__ import annotations


class VMError(Exception):
    """The machine could not be made or did not answer; the text says what was done to what, and how the console ended."""


class VMTimeout(VMError):
    """The time was up before the command had ended. `stdout` and `stderr` hold what it had said by then (bytes)."""

    def __init__(self, text: str, stdout: bytes = b"", stderr: bytes = b"") -> None:
        super().__init__(text)
        self.stdout = stdout
        self.stderr = stderr

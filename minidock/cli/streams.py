"""Our own three streams: all that a command prints passes here, and what it reads from standard input.

A stream may be unusable in three ways, and none of them is a fault of ours::

    closed        >&-  <&-      /dev/null takes its place (Go's runtime does so for docker): nothing is seen, all else goes on
    broken pipe   | head -1     nobody reads any more: the end, without a word, 141, as if SIGPIPE had ended the process
    full          >/dev/full    "write /dev/stdout: no space left on device", 1

Text is buffered, and one that cannot be written does not keep a command from what it still has to do: the first error is
kept, `flush` raises it, and `main` calls that at the end. Bytes (`write_all`) are not buffered and fail at once. What cannot be
told on standard error is lost, and changes no exit code. All text is UTF-8, as docker's is, whatever the locale.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_NAMES = {0: "/dev/stdin", 1: "/dev/stdout", 2: "/dev/stderr"}
SIGPIPE_STATUS = 141  # 128 + SIGPIPE


class StreamError(Exception):
    """A read or write that the kernel refused, in docker's words. `broken`: nobody reads any more."""

    def __init__(self, call: str, fd: int, number: int) -> None:
        super().__init__(f"{call} {_NAMES.get(fd, f'/dev/fd/{fd}')}: {os.strerror(number).lower()}")
        self.fd, self.broken = fd, number == errno.EPIPE


class _Output(io.RawIOBase):
    """A descriptor to write to; after the first error, which is kept, everything is dropped."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.error: StreamError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def write(self, data: ReadableBuffer) -> int:
        view = memoryview(data)
        if self.error is None:
            try:
                write_all(self._fd, view)
            except StreamError as error:
                self.error = error
        return view.nbytes


class _Input(io.FileIO):
    """Standard input, whose errors are StreamErrors; what has nothing to read yet is waited for, non-blocking or not."""

    def readinto(self, buffer: WriteableBuffer) -> int:
        while True:
            try:
                count = super().readinto(buffer)
            except OSError as error:
                raise StreamError("read", self.fileno(), error.errno or 0) from None
            if count is not None:
                return count
            select.select([self], [], [])


_stdout: _Output | None = None


def install() -> None:
    """Put these streams in the place of Python's own, and /dev/null in the place of what is closed."""
    global _stdout
    for fd in _NAMES:
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest free number: this one
    codecs.register_error("minidock", _as_it_came)
    _stdout = _Output(1)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(_Input(0, closefd=False)), "utf-8", "surrogateescape")
    sys.stdout, sys.stderr = _text(_stdout), _text(_Output(2))


def _text(raw: _Output) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", "minidock", line_buffering=raw.isatty())


def _as_it_came(error: UnicodeError) -> tuple[bytes, int]:
    """Names and labels may hold bytes that are no UTF-8: printed as they came. Half a surrogate pair is Go's U+FFFD."""
    assert isinstance(error, UnicodeEncodeError)
    codes = [ord(character) for character in error.object[error.start : error.end]]
    raw = [bytes((code - 0xDC00,)) if 0xDC80 <= code <= 0xDCFF else "\ufffd".encode() for code in codes]
    return b"".join(raw), error.end


def write(text: str) -> None:
    """Text on standard output, as it is."""
    sys.stdout.write(text)


def say(text: str) -> None:
    """A line on standard output."""
    write(text + "\n")


def complain(text: str) -> None:
    """A line on standard error, after what was printed before."""
    sys.stdout.flush()
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def flush() -> None:
    """Have everything printed that was said. Raises StreamError if that, or something before, could not be written."""
    sys.stdout.flush()
    if _stdout and _stdout.error:
        raise _stdout.error


def write_all(fd: int, data: ReadableBuffer) -> None:
    """Write all of `data`, also where someone made our descriptor non-blocking. Raises StreamError."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError as error:
            raise StreamError("write", fd, error.errno or 0) from None


def stdin() -> io.BufferedIOBase:
    """Standard input as bytes; a read may raise StreamError."""
    return sys.stdin.buffer  # type: ignore[return-value]

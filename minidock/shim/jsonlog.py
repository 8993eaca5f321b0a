"""The json-file log: one JSON object a line, to the byte what dockerd writes.

::

    containers/<id>/<id>-json.log      {"log":"text\\n","stream":"stdout","time":"2015-03-30T09:38:11.123456789Z"}
                    <id>-json.log.1    the file before (max_file 2 and more), up to .<max_file - 1>; older ones are removed

The rules are those of moby's ``daemon/logger`` (``copier.go``, ``jsonlogbytes.go``, ``loggerutils/logfile.go``): a line longer
than 16 KiB is cut into entries without ``\\n`` of exactly that size; text without a newline at the end of the output is an
entry without ``\\n``; ``<``, ``>`` and ``&`` are escaped as Go escapes them for HTML; each byte that is not UTF-8 becomes
``\\ufffd``; a file that has reached `max_size` is rotated before the next entry goes in.

A container may print faster than Python can loop over lines, and what is not read from its pipe slows it down. So a chunk
of many lines is never taken apart: it is escaped whole, and then every newline in it is replaced by the end of one entry and
the beginning of the next. All entries of one read share its time.
"""

from __future__ import annotations

import codecs
import os
import re
import time
from contextlib import suppress

from minidock.linux import trace

PARTIAL = 16384
_CONTROL = bytes(c for c in range(0x20) if c not in (0x0A, 0x0D))
_UGLY = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\u2028\u2029]")


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    """Decode as Go does: one U+FFFD for each byte that begins no character (Python would make one for a whole run)."""
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error("minidock.each_byte", _each_byte)


def _escape_ugly(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def escape(chunk: bytes) -> bytes:
    """`chunk` as the inside of a JSON string in Go's spelling, except that newlines stay what they are."""
    for raw, escaped in ((b"\\", b"\\\\"), (b'"', b'\\"'), (b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026")):
        if raw in chunk:
            chunk = chunk.replace(raw, escaped)
    if b"\r" in chunk:
        chunk = chunk.replace(b"\r", b"\\r")
    if chunk.isascii() and len(chunk.translate(None, _CONTROL)) == len(chunk):
        return chunk
    text = _UGLY.sub(_escape_ugly, chunk.decode("utf-8", "minidock.each_byte"))
    return text.replace("\ufffd", "\\ufffd").encode() if b"\xef\xbf\xbd" not in chunk else _escape_invalid(chunk)


def _escape_invalid(chunk: bytes) -> bytes:
    r"""`escape`'s last step for text that holds a real U+FFFD: that stays as it is, while an invalid byte becomes \ufffd."""
    parts = [p.decode("utf-8", "minidock.each_byte").replace("\ufffd", "\\ufffd") for p in chunk.split(b"\xef\xbf\xbd")]
    return _UGLY.sub(_escape_ugly, "\ufffd".join(parts)).encode()


def timestamp(nanoseconds: int | None = None) -> str:
    """RFC 3339 in UTC with up to nine decimals, trailing zeros cut, as Go's RFC3339Nano prints it. Default: now."""
    seconds, fraction = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def open_file(path: str, flags: int = 0) -> int:
    """Open the log at `path` for appending, made if it is missing; a descriptor. Raises OSError."""
    with trace.step("open log", path):
        return os.open(path, flags | os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


class JSONFile:
    """The log of one container. `write` takes what was read from one stream, however the reads fell; `close` ends it.

    `path` is made with mode 0640. `max_size` is in bytes (0: never rotated), `max_file` the number of files kept.
    A write error never reaches the caller: the container goes on, and the entries that found no room are counted in `lost`
    (`error` is the errno). `fd` is the open file if the
    caller has it already. A half-written entry is cut off again, so that the file is always whole lines of JSON.
    """

    def __init__(self, path: str, max_size: int = 0, max_file: int = 1, fd: int = -1) -> None:
        self._path, self._max_size, self._max_file = path, max_size, max_file
        self._rest: dict[str, bytes] = {}
        self.lost = self.error = 0
        self._fd = open_file(path) if fd < 0 else fd
        self._size = os.fstat(self._fd).st_size

    def _open(self, flags: int) -> None:
        self._fd = open_file(self._path, flags)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: str, chunk: bytes) -> None:
        """Log `chunk`, read from `stream` ("stdout" or "stderr"): all its whole lines now, the rest with what follows."""
        rest = self._rest.pop(stream, b"")
        end = chunk.rfind(b"\n") + 1
        if end:
            lines, rest = rest + chunk[:end], chunk[end:]
            self._append(_entries(lines, stream, timestamp()))
        else:
            rest += chunk
        if len(rest) >= PARTIAL:
            whole = len(rest) - len(rest) % PARTIAL
            self._append(_entries(rest[:whole], stream, timestamp()))
            rest = rest[whole:]
        if rest:
            self._rest[stream] = rest

    def close(self) -> None:
        """Log what has no newline yet, and close the file. Idempotent."""
        for stream, rest in self._rest.items():
            self._append(_entries(rest, stream, timestamp()))
        self._rest.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, entries: bytes) -> None:
        """Write `entries`; with a size limit, only up to the first entry that fills the file, then rotate and go on."""
        while entries:
            try:
                if self._fd < 0:
                    self._open(0)
                if self._max_size and self._size >= self._max_size:
                    self._rotate()
                end = len(entries)
                if self._max_size:
                    end = entries.find(b"\n", max(0, self._max_size - self._size - 1)) + 1 or end
                self._write_whole(entries[:end])
                entries = entries[end:]
            except OSError as e:
                self.error = e.errno or 0
                self.lost += entries.count(b"\n")
                return

    def _write_whole(self, entries: bytes) -> None:
        """Write all of `entries` or, after an error, only whole ones of them."""
        done = 0
        try:
            while done < len(entries):
                done += os.write(self._fd, memoryview(entries)[done:])
        except OSError as e:
            kept = entries.rfind(b"\n", 0, done) + 1
            self.error = e.errno or 0
            self.lost += entries.count(b"\n", kept)
            self._size += kept
            if done > kept:
                os.ftruncate(self._fd, self._size)
            return
        self._size += done

    def _rotate(self) -> None:
        """path → path.1 → path.2 …; with max_file 1 the old file is unlinked, not truncated: readers may be in it."""
        for n in range(self._max_file - 1, 1, -1):
            with suppress(FileNotFoundError):
                os.rename(f"{self._path}.{n - 1}", f"{self._path}.{n}")
        with suppress(FileNotFoundError):
            if self._max_file > 1:
                os.rename(self._path, f"{self._path}.1")
            else:
                os.unlink(self._path)
        os.close(self._fd)
        self._fd = -1
        self._open(os.O_TRUNC)


def _entries(text: bytes, stream: str, when: str) -> bytes:
    """`text` as log entries: one a line, lines of more than 16 KiB in pieces. What follows the last newline is one too."""
    tail = f'","stream":"{stream}","time":"{when}"}}\n'.encode()
    if len(text) > PARTIAL and _has_long_line(text):
        *lines, last = [line + b"\n" for line in text.split(b"\n")]
        pieces = [line[i : i + PARTIAL] for line in [*lines, last[:-1]] for i in range(0, len(line), PARTIAL)]
        return b"".join(b'{"log":"' + escape(piece).replace(b"\n", b"\\n") + tail for piece in pieces)
    body = escape(text).replace(b"\n", b"\\n" + tail + b'{"log":"')
    if text.endswith(b"\n"):
        return b'{"log":"' + body[: -len(b'{"log":"')]
    return b'{"log":"' + body + tail


def _has_long_line(text: bytes) -> bool:
    """True if some line is longer than `PARTIAL`: hop from newline to newline, as far as each hop may reach."""
    start = 0
    while len(text) - start > PARTIAL:
        newline = text.rfind(b"\n", start, start + PARTIAL)
        if newline < 0:
            return True
        start = newline + 1
    return False

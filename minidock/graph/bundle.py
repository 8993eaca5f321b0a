"""The outer archive of ``docker load``: members found by name, nothing of it unpacked to the disk.

The stream may be a pipe, or compressed; what we need first (manifest.json) usually comes last. So what cannot seek is
copied to a file without a name, and that file, or the caller's own, is read at the places its index gives. Symbolic links
between members (docker save up to 24 has them for layers that repeat) are resolved in the index, as text.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import posixpath
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast

from minidock.errors import InvalidParameter, SystemFault
from minidock.graph.archive import names
from minidock.graph.archive.reader import GuardedHeader, Readable, decompressed, in_our_words
from minidock.graphdriver.scratch import Scratch

MAX_JSON = 8 << 20  # bytes of a manifest or config
MAX_MEMBERS = 200_000
_MAX_LINKS = 8


@dataclass(frozen=True)
class Candidate:
    """An image that an archive offers: its config's bytes, the members that hold its layers (base first), those members'
    own digests where the archive gives them, and its references, fully spelled."""

    config: bytes
    layers: Sequence[str]
    digests: Sequence[str] = ()
    references: Sequence[str] = ()


class Part:
    """One member's bytes, read on their own position; with `expected`, checked against a digest at the end."""

    def __init__(self, file: IO[bytes], offset: int, size: int, expected: str = "") -> None:
        self._file, self._offset, self._left, self.size = file, offset, size, size
        self._expected, self._hash = expected, hashlib.sha256()

    def read(self, n: int = -1) -> bytes:
        """At most `n` bytes; b"" at the end. Raises InvalidParameter for a wrong digest or a short file."""
        n = self._left if n < 0 else min(n, self._left)
        if n == 0:
            if self._expected and f"sha256:{self._hash.hexdigest()}" != self._expected:
                raise InvalidParameter(f"content does not match its digest {self._expected}")
            return b""
        self._file.seek(self._offset)
        data = self._file.read(n)
        if not data:
            raise InvalidParameter("invalid archive: unexpected end of data")
        self._offset += len(data)
        self._left -= len(data)
        if self._expected:
            self._hash.update(data)
        return data


class Bundle:
    """The index of an archive. Make it with `opened`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._files: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        with in_our_words():
            tar = tarfile.open(fileobj=file, mode="r:", tarinfo=GuardedHeader)  # noqa: SIM115
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]
                self._note(member)

    def _note(self, member: tarfile.TarInfo) -> None:
        if len(self._files) + len(self._links) >= MAX_MEMBERS:
            raise InvalidParameter(f"the archive has more than {MAX_MEMBERS} entries")
        path = names.clean(member.name)
        if member.issym():
            self._links[path] = posixpath.join(posixpath.dirname(path), member.linkname)
        elif member.islnk():
            self._links[path] = member.linkname
        elif member.isreg() and not member.issparse():
            self._files[path] = (member.offset_data, member.size)

    def _find(self, name: str) -> tuple[int, int] | None:
        path = names.clean(name)
        for _ in range(_MAX_LINKS):
            if path in self._files:
                return self._files[path]
            if path not in self._links:
                return None
            path = names.clean(self._links[path])
        raise InvalidParameter(f"invalid archive: {names.printable(name)}: too many levels of symbolic links")

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def names(self) -> Iterator[str]:
        """The paths of all regular files."""
        yield from self._files

    def open(self, name: str, *, digest: str = "") -> Part:
        """A member's bytes; with `digest` they are checked as they are read. Raises InvalidParameter if it is not there."""
        found = self._find(name)
        if found is None:
            raise InvalidParameter(f"invalid archive: {names.printable(name)}: no such file or directory")
        return Part(self._file, *found, digest)

    def read(self, name: str, *, digest: str = "") -> bytes:
        """All bytes of a small member."""
        part = self.open(name, digest=digest)
        if part.size > MAX_JSON:
            raise InvalidParameter(f"invalid archive: {names.printable(name)} has more than {MAX_JSON} bytes")
        data = part.read()
        if data:
            part.read()  # the end, where the digest is checked
        return data

    def json(self, name: str, kind: type, *, digest: str = "") -> Any:
        """A small member as JSON, whose value must be a `kind` (dict or list)."""
        try:
            value = json.loads(self.read(name, digest=digest))
        except (ValueError, RecursionError) as e:
            raise InvalidParameter(f"invalid archive: {names.printable(name)}: {e}") from e
        if not isinstance(value, kind):
            raise InvalidParameter(f"invalid archive: {names.printable(name)}: not a JSON {kind.__name__}")
        return value


@contextmanager
def opened(stream: Readable, scratch: Scratch, *, keep_free: int = 64 << 20) -> Iterator[Bundle]:
    """Index the archive for the time of a ``with``. Raises InvalidParameter for what is none; SystemFault (disk full)."""
    with ExitStack() as stack:
        if _plain_file(stream):
            yield Bundle(cast(IO[bytes], stream))
            return
        copy = stack.enter_context(tempfile.TemporaryFile(dir=scratch.path))
        _spool(decompressed(stream), copy, keep_free)
        yield Bundle(copy)


def _plain_file(stream: Readable) -> bool:
    """Whether the stream can be read at any place as it is: a seekable file, at its beginning, not compressed."""
    seekable = getattr(stream, "seekable", None)
    if seekable is None or not seekable():
        return False
    file = cast(IO[bytes], stream)
    if file.tell() != 0:
        return False
    head = file.read(512)
    file.seek(0)
    return head[257:262] == b"ustar" or not head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"))


def _spool(source: Readable, target: IO[bytes], keep_free: int) -> None:
    written = next_check = 0
    try:
        while True:
            with in_our_words():
                data = source.read(1 << 20)
            if not data:
                break
            target.write(data)
            written += len(data)
            if written >= next_check:
                next_check = written + (32 << 20)
                free = os.fstatvfs(target.fileno())
                if free.f_bavail * free.f_frsize < keep_free:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        target.seek(0)
    except OSError as e:
        raise SystemFault("copy the archive", "", e.errno or 0) from e

"""Reading an archive that we do not trust, from a stream that may not be able to seek.

::

    raw stream → decompressor (found by its magic) → TarStream: counts, hashes → tarfile with our GuardedHeader → members

The standard library's tarfile parses (ustar, pax, GNU, sparse). Three of its habits are unfit here and are changed in
`GuardedHeader`: it reads an extended header of any size into memory; it accepts negative sizes (CVE-2025-8194, an endless
loop); and it takes a broken header in the middle for the end of the archive.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Protocol

from minidock.errors import InvalidParameter, NotSupported

MAX_EXTENDED_HEADER = 1 << 20  # bytes of one pax header or GNU long name; Go's archive/tar has the same limit
_MAGIC_LENGTH = 6


class Readable(Protocol):
    """All that is asked of a source of bytes."""

    def read(self, n: int = -1, /) -> bytes:
        """At most `n` bytes; b"" at the end."""
        ...


class _Peeked:
    """A stream whose first bytes have been looked at."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = head, rest

    def read(self, n: int = -1) -> bytes:
        if self._head:
            head, self._head = (self._head, b"") if n < 0 else (self._head[:n], self._head[n:])
            return head + self._rest.read() if n < 0 else head
        return self._rest.read(n)


def read_exactly(stream: Readable, n: int) -> bytes:
    """`n` bytes, or all there are (a pipe gives less than it is asked for)."""
    parts: list[bytes] = []
    while n > 0 and (part := stream.read(min(n, 1 << 20))):
        parts.append(part)
        n -= len(part)
    return b"".join(parts)


def decompressed(stream: Readable) -> Readable:
    """The stream behind gzip, bzip2 or xz, found by its first bytes (moby ``DetectCompression``); else the stream itself.

    Raises NotSupported for zstd, which this Python's standard library does not have.
    """
    head = read_exactly(stream, _MAGIC_LENGTH)
    source: IO[bytes] = _Peeked(head, stream)  # type: ignore[assignment]
    if head.startswith(b"\x1f\x8b\x08"):
        return gzip.GzipFile(fileobj=source, mode="rb")
    if head.startswith(b"BZh"):
        return bz2.BZ2File(source)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(source)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        raise NotSupported("the archive is compressed with zstd, which is not built in: decompress it first (zstd -dc ARCHIVE)")
    return source


class TarStream:
    """An uncompressed archive read once, front to back: what tarfile asks of a file, and a SHA-256 of every byte.

    Seeking forward reads; seeking back is an error (io.UnsupportedOperation), which tarfile never asks for here.
    """

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._position = 0
        self._hash = hashlib.sha256()

    def read(self, n: int = -1) -> bytes:
        """`n` bytes, or all there are."""
        data = read_exactly(self._source, n if n >= 0 else 1 << 62)
        self._hash.update(data)
        self._position += len(data)
        return data

    def tell(self) -> int:
        """Bytes read so far."""
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        """Read and forget up to `position`."""
        if whence != 0 or position < self._position:
            raise io.UnsupportedOperation("an archive is read front to back")
        while self._position < position and self.read(min(1 << 20, position - self._position)):
            pass
        return self._position

    def finish(self) -> str:
        """Read what follows the archive's end mark too; returns the digest of everything, "sha256:…"."""
        while self.read(1 << 20):
            pass
        return f"sha256:{self._hash.hexdigest()}"


class GuardedHeader(tarfile.TarInfo):
    """A member header with the three guards of the module's docstring."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> GuardedHeader:
        """Parse the next header. Raises tarfile.ReadError for a broken one."""
        try:
            return super().fromtarfile(tarfile_)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as e:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"invalid tar header: {e}") from e

    def _proc_member(self, tarfile_: tarfile.TarFile) -> tarfile.TarInfo:
        extended = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
        if self.type in (*extended, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK) and self.size > MAX_EXTENDED_HEADER:
            raise tarfile.ReadError("header too long")
        return super()._proc_member(tarfile_)  # type: ignore[misc, no-any-return]

    def _block(self, count: int) -> int:
        if count < 0:
            raise tarfile.ReadError("negative size")
        return super()._block(count)  # type: ignore[misc, no-any-return]


@contextmanager
def in_our_words() -> Iterator[None]:
    """What parsers and decompressors raise for bad bytes is the user's mistake."""
    try:
        yield
    except (
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        gzip.BadGzipFile,
        EOFError,
        ValueError,
        IndexError,
        OverflowError,
    ) as e:
        raise InvalidParameter(f"invalid archive: {e}") from e
    except OSError as e:
        if e.errno is None:  # "Invalid data stream" of bz2 has no errno; the machine's faults do
            raise InvalidParameter(f"invalid archive: {e}") from e
        raise


class Body:
    """The stored bytes of one regular member. `parts` says where they belong, as (offset, size) in order: one part for a
    plain file, several for a sparse one, whose holes an archive does not hold."""

    def __init__(self, stream: TarStream, member: tarfile.TarInfo) -> None:
        sparse = getattr(member, "sparse", None)
        self.parts: list[tuple[int, int]] = [(0, member.size)] if sparse is None else [(o, n) for o, n in sparse if n]
        end = 0
        for offset, size in self.parts:
            if offset < end or size < 0 or offset + size > member.size:
                raise InvalidParameter("invalid archive: invalid sparse map")
            end = offset + size
        self._stream, self._left = stream, sum(size for _, size in self.parts)

    def read(self, n: int = -1) -> bytes:
        """At most `n` bytes; b"" at the end. Raises InvalidParameter when the archive ends first."""
        n = self._left if n < 0 else min(n, self._left)
        with in_our_words():
            data = self._stream.read(n) if n else b""
        if n and not data:
            raise InvalidParameter("invalid archive: unexpected end of data")
        self._left -= len(data)
        return data


def read(stream: TarStream) -> Iterator[tuple[tarfile.TarInfo, Body | None]]:
    """Every member and, for a regular file, its bytes (to be read before the next step). An empty stream has no members.

    Raises InvalidParameter for bad bytes.
    """
    with in_our_words():
        try:
            tar = tarfile.open(fileobj=stream, mode="r:", tarinfo=GuardedHeader)  # type: ignore[call-overload]  # noqa: SIM115
        except tarfile.ReadError:
            if stream.tell() == 0 and not stream.read(1):
                return
            raise
        while (member := tar.next()) is not None:
            tar.members.clear()  # tarfile keeps every header: a million entries would be a gigabyte
            yield member, Body(stream, member) if member.isreg() else None

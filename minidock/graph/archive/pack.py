"""Packing a tree as a tar, deterministically: the same tree gives the same bytes, and so the same DiffID.

Names in order; numbers only for owners; one time a file, with nanoseconds (pax) when it has them; the second and later
names of a file are hard links to the first. Sockets are left out, as docker does: they mean nothing to another process.
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator

from minidock.graph.archive import names
from minidock.graph.archive.extract import ALLOWED_XATTRS, FORBIDDEN_XATTRS, XATTR
from minidock.graphdriver.tree import is_opaque, is_whiteout, open_inside, walk

END = b"\0" * 1024
_CHUNK = 1 << 20
Entry = tuple[str, os.stat_result]


def pack(root: str | os.PathLike[str], *, overlay: bool = False, entries: Iterable[Entry] | None = None) -> Iterator[bytes]:
    """The tree below the directory `root` as an uncompressed tar, in pieces. `root` itself is not a member.

    overlay: the tree is an overlayfs upper directory; its whiteouts become ``.wh.`` members. entries: only these (path, lstat),
    in this order, instead of all. A file that shrinks while it is read is filled up with zeros. Raises OSError.
    """
    first: dict[tuple[int, int], str] = {}
    top = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path, status in walk(os.fspath(root)) if entries is None else entries:
            if not path or stat.S_ISSOCK(status.st_mode):
                continue
            if overlay and is_whiteout(status):
                folder, _, base = path.rpartition("/")
                yield whiteout(f"{folder}/{names.WHITEOUT}{base}" if folder else names.WHITEOUT + base)
                continue
            try:
                yield from _member(top, path, status, first)
            except OSError as e:
                if e.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
                continue  # gone or replaced meanwhile; no byte of it was written yet
            if overlay and stat.S_ISDIR(status.st_mode) and is_opaque(os.path.join(root, path)):
                yield whiteout(f"{path}/{names.OPAQUE}")
    finally:
        os.close(top)
    yield END


def whiteout(name: str) -> bytes:
    """An empty regular file of that name: how a layer's tar says "deleted"."""
    return _encode(tarfile.TarInfo(name))


def _member(top: int, path: str, status: os.stat_result, first: dict[tuple[int, int], str]) -> Iterator[bytes]:
    """One entry: header, then contents. Raises OSError only before the first byte, or when the disk fails."""
    info = _header(path, status)
    inode = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
        if inode in first:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, first[inode], 0
            yield _encode(info)
            return
        first[inode] = path
    if stat.S_ISLNK(status.st_mode):
        fd = open_inside(top, path, os.O_PATH)
        try:
            info.linkname = os.readlink("", dir_fd=fd)
        finally:
            os.close(fd)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        yield _encode(info)
        return
    fd = open_inside(top, path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if stat.S_IFMT(os.fstat(fd).st_mode) != stat.S_IFMT(status.st_mode):
            return  # replaced meanwhile
        info.pax_headers = {**info.pax_headers, **_xattrs(fd)}
        yield _encode(info)
        yield from _contents(fd, info.size)
    finally:
        os.close(fd)


def _contents(fd: int, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes and the padding: zeros in place of what is not there any more."""
    left = size
    while left > 0:
        data = os.read(fd, min(left, _CHUNK)) or bytes(min(left, _CHUNK))
        left -= len(data)
        yield data
    if padding := -size % tarfile.BLOCKSIZE:
        yield bytes(padding)


_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}


def _header(path: str, status: os.stat_result) -> tarfile.TarInfo:
    kind = stat.S_IFMT(status.st_mode)
    info = tarfile.TarInfo(path)  # tarfile adds the "/" of a directory itself
    info.type = _TYPES[kind]
    info.mode = stat.S_IMODE(status.st_mode)
    info.uid, info.gid = status.st_uid, status.st_gid
    info.size = status.st_size if kind == stat.S_IFREG else 0
    info.mtime, nanoseconds = divmod(status.st_mtime_ns, 10**9)
    if nanoseconds and info.mtime >= 0:
        info.pax_headers = {"mtime": f"{info.mtime}.{nanoseconds:09}".rstrip("0")}
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    return info


def _xattrs(fd: int) -> dict[str, str]:
    """The extended attributes that a layer carries, as pax records."""
    return {
        XATTR + name: os.getxattr(fd, name).decode("utf-8", "surrogateescape")
        for name in sorted(os.listxattr(fd))
        if name.startswith(ALLOWED_XATTRS) and not name.startswith(FORBIDDEN_XATTRS)
    }


def _encode(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

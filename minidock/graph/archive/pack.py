"""Packing a tree as a tar, deterministically: the same tree gives the same bytes, and so the same DiffID.

Names in order; numbers only for owners; one time a file, with nanoseconds (pax) when it has them; the second and later
names of a file are hard links to the first. Sockets are left out, as docker does: they mean nothing to another process.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator

from minidock.graph.archive import names
from minidock.graph.archive.extract import ALLOWED_XATTRS, FORBIDDEN_XATTRS, XATTR
from minidock.graphdriver.tree import is_opaque, is_whiteout, walk

END = b"\0" * 1024
_CHUNK = 1 << 20
Entry = tuple[str, os.stat_result]


def pack(root: str | os.PathLike[str], *, overlay: bool = False, entries: Iterable[Entry] | None = None) -> Iterator[bytes]:
    """The tree below the directory `root` as an uncompressed tar, in pieces. `root` itself is not a member.

    overlay: the tree is an overlayfs upper directory; its whiteouts become ``.wh.`` members. entries: only these (path, lstat),
    in this order, instead of all. A file that shrinks while it is read is filled up with zeros. Raises OSError.
    """
    top = os.fspath(root)
    first: dict[tuple[int, int], str] = {}
    for path, status in walk(top) if entries is None else entries:
        if not path or stat.S_ISSOCK(status.st_mode):
            continue
        if overlay and is_whiteout(status):
            folder, _, base = path.rpartition("/")
            yield whiteout(f"{folder}/{names.WHITEOUT}{base}" if folder else names.WHITEOUT + base)
            continue
        yield from _member(top, path, status, first)
        if overlay and stat.S_ISDIR(status.st_mode) and is_opaque(os.path.join(top, path)):
            yield whiteout(f"{path}/{names.OPAQUE}")
    yield END


def whiteout(name: str) -> bytes:
    """An empty regular file of that name: how a layer's tar says "deleted"."""
    return _encode(tarfile.TarInfo(name))


def _member(top: str, path: str, status: os.stat_result, first: dict[tuple[int, int], str]) -> Iterator[bytes]:
    """One entry: header, then contents."""
    full = os.path.join(top, path)
    info = _header(path, status)
    if stat.S_ISLNK(status.st_mode):
        info.linkname = os.readlink(full)
    inode = (status.st_dev, status.st_ino)
    if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
        if inode in first:
            info.type, info.linkname, info.size = tarfile.LNKTYPE, first[inode], 0
            yield _encode(info)
            return
        first[inode] = path
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        info.pax_headers = {**info.pax_headers, **_xattrs(full)}
    if not stat.S_ISREG(status.st_mode):
        yield _encode(info)
        return
    fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield _encode(info)
        left = info.size
        while left > 0 and (data := os.read(fd, min(left, _CHUNK))):
            left -= len(data)
            yield data
        while left > 0:
            yield bytes(min(left, _CHUNK))
            left -= min(left, _CHUNK)
    finally:
        os.close(fd)
    if padding := -info.size % tarfile.BLOCKSIZE:
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


def _xattrs(path: str) -> dict[str, str]:
    """The extended attributes that a layer carries, as pax records."""
    return {
        XATTR + name: os.getxattr(path, name, follow_symlinks=False).decode("utf-8", "surrogateescape")
        for name in sorted(os.listxattr(path, follow_symlinks=False))
        if name.startswith(ALLOWED_XATTRS) and not name.startswith(FORBIDDEN_XATTRS)
    }


def _encode(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")

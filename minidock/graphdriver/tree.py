"""Directory trees of untrusted content: walk, compare, delete, without being led astray.

Whoever ran in a container decided what lies in its layer: nesting deeper than any stack or descriptor table, names that
are not text, files with the immutable flag. Nothing here recurses, follows a link, or holds more than a few descriptors.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress

# ioctl_iflags(2): the numbers are the same on x86-64 and arm64.
FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
FS_IMMUTABLE_FL = 0x10
FS_APPEND_FL = 0x20

OPAQUE_XATTR = "trusted.overlay.opaque"


def remove_tree(path: str) -> None:
    """Delete the directory `path` and all in it (the deletion of ``rm -r``). Raises OSError, also when it is not there.

    A directory that is not empty is first renamed up into `path` itself, under a fresh name, and emptied in its turn: so
    every path stays short, and the depth of the tree costs neither stack nor descriptors. `path` is worth nothing half-way.
    """
    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        serial, pending = 0, ["."]
        while pending:
            name = pending.pop()
            with _opened(top, name) as fd:
                for child, is_dir in _children(fd):
                    if not is_dir:
                        _forced(fd, child, os.unlink)
                    elif not _rmdir(fd, child):
                        serial += 1
                        _move_up(fd, child, top, moved := f".{os.getpid()}.{serial}.removing")
                        pending.append(moved)
            if name != ".":
                _forced(top, name, os.rmdir)
    finally:
        os.close(top)
    os.rmdir(path)


class _opened:
    """A directory below `top` as a descriptor, for a ``with``."""

    def __init__(self, top: int, name: str) -> None:
        self._fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)

    def __enter__(self) -> int:
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _children(fd: int) -> list[tuple[str, bool]]:
    with os.scandir(fd) as entries:
        return [(e.name, e.is_dir(follow_symlinks=False)) for e in entries]


def _rmdir(fd: int, name: str) -> bool:
    try:
        os.rmdir(name, dir_fd=fd)
    except OSError as e:
        if e.errno in (errno.ENOTEMPTY, errno.EPERM):
            return False
        raise
    return True


def _move_up(fd: int, name: str, top: int, moved: str) -> None:
    try:
        os.rename(name, moved, src_dir_fd=fd, dst_dir_fd=top)
    except PermissionError:
        _clear_flags(fd)
        _clear_flags(fd, name)
        os.rename(name, moved, src_dir_fd=fd, dst_dir_fd=top)


def _forced(fd: int, name: str, remove: object) -> None:
    """Unlink or rmdir; what chattr(1) forbade is allowed again first (EPERM: the entry or its directory is immutable)."""
    call = os.rmdir if remove is os.rmdir else os.unlink
    try:
        call(name, dir_fd=fd)
    except PermissionError:
        _clear_flags(fd)
        _clear_flags(fd, name)
        call(name, dir_fd=fd)


def _clear_flags(fd: int, name: str = "") -> None:
    """Take the immutable and append-only flags off a directory, or off the regular file or directory `name` in it."""
    own = -1
    if name:
        if stat.S_IFMT(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
            return
        own = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    try:
        target = own if name else fd
        with suppress(OSError):  # a file system without such flags: then they were not the reason either
            flags = struct.unpack("i", fcntl.ioctl(target, FS_IOC_GETFLAGS, struct.pack("i", 0)))[0]
            fcntl.ioctl(target, FS_IOC_SETFLAGS, struct.pack("i", flags & ~(FS_IMMUTABLE_FL | FS_APPEND_FL)))
    finally:
        if own >= 0:
            os.close(own)


def walk(top: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every entry below `top`, parents before children, names in order: ("a/b", lstat). `top` itself comes first, as "".

    Raises OSError; ENAMETOOLONG for what lies deeper than a path can say.
    """
    yield "", os.lstat(top)
    stack = [iter(_listing(top, ""))]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
            continue
        path, status = entry
        yield path, status
        if stat.S_ISDIR(status.st_mode):
            stack.append(iter(_listing(top, path)))


def _listing(top: str, path: str) -> list[tuple[str, os.stat_result]]:
    prefix = f"{path}/" if path else ""
    with os.scandir(os.path.join(top, path)) as entries:
        return sorted((prefix + e.name, e.stat(follow_symlinks=False)) for e in entries)


def is_whiteout(status: os.stat_result) -> bool:
    """Whether this is how overlayfs spells "deleted": a character device 0:0 (Documentation/filesystems/overlayfs.rst)."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(path: str) -> bool:
    """Whether overlayfs shows nothing of the lower layers in the directory `path`."""
    try:
        return os.getxattr(path, OPAQUE_XATTR, follow_symlinks=False) == b"y"
    except OSError as e:
        if e.errno in (errno.ENODATA, errno.ENOTSUP, errno.EPERM):
            return False
        raise


def capability(path: str) -> bytes:
    """The file capability of `path` as raw bytes, empty if it has none (xattr security.capability)."""
    try:
        return os.getxattr(path, "security.capability", follow_symlinks=False)
    except OSError as e:
        if e.errno in (errno.ENODATA, errno.ENOTSUP):
            return b""
        raise


def differ(old: os.stat_result, old_path: str, new: os.stat_result, new_path: str) -> bool:
    """Whether docker calls an entry changed (pkg/archive/changes_unix.go, statDifferent): mode, uid, gid, rdev, and for all
    but directories size and mtime; then the file capability. Inode and ctime do not count."""
    if (old.st_mode, old.st_uid, old.st_gid, old.st_rdev) != (new.st_mode, new.st_uid, new.st_gid, new.st_rdev):
        return True
    if not stat.S_ISDIR(old.st_mode) and (old.st_mtime_ns, old.st_size) != (new.st_mtime_ns, new.st_size):
        return True
    return stat.S_ISREG(old.st_mode) and capability(old_path) != capability(new_path)

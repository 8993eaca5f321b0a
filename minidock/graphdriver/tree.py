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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from minidock.graphdriver import Change
from minidock.linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

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


def _forced(fd: int, name: str, call: Callable[..., None]) -> None:
    """os.unlink or os.rmdir; what chattr(1) forbade is allowed again first (EPERM: the entry or its folder is immutable)."""
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

    Safe on a tree that somebody changes meanwhile: a directory swapped for a link is not followed, one that went is left
    out. Raises OSError; ENAMETOOLONG for what lies deeper than a path can say.
    """
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield "", os.fstat(fd)
        stack = [iter(_listing(fd, ""))]
        while stack:
            entry = next(stack[-1], None)
            if entry is None:
                stack.pop()
                continue
            path, status = entry
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                stack.append(iter(_listing(fd, path)))
    finally:
        os.close(fd)


def open_inside(top: int, path: str, flags: int) -> int:
    """Open `path` below the directory `top` without following any link, the last part included (ELOOP: it is one)."""
    return openat2(top, path or ".", flags | os.O_NOFOLLOW, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)


def _listing(top: int, path: str) -> list[tuple[str, os.stat_result]]:
    prefix = f"{path}/" if path else ""
    found = []
    try:
        fd = open_inside(top, path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return []
        raise
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    found.append((prefix + entry.name, entry.stat(follow_symlinks=False)))
    finally:
        os.close(fd)
    return sorted(found)


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


def differ(old: os.stat_result, old_path: str, new: os.stat_result, new_path: str, shift: tuple[int, int] = (0, 0)) -> bool:
    """Whether docker calls an entry changed (pkg/archive/changes_unix.go, statDifferent): mode, uid, gid, rdev, and for all
    but directories size and mtime; then the file capability. Inode and ctime do not count."""
    owner = (old.st_uid + shift[0], old.st_gid + shift[1])
    if (old.st_mode, *owner, old.st_rdev) != (new.st_mode, new.st_uid, new.st_gid, new.st_rdev):
        return True
    if not stat.S_ISDIR(old.st_mode) and (old.st_mtime_ns, old.st_size) != (new.st_mtime_ns, new.st_size):
        return True
    return stat.S_ISREG(old.st_mode) and capability(old_path) != capability(new_path)


class Stack:
    """What overlayfs would show of a stack of directories, topmost first, looked up path by path without mounting."""

    def __init__(self, layers: Sequence[str]) -> None:
        self._known: dict[str, list[str]] = {"": list(layers)}

    def find(self, path: str) -> str | None:
        """Where the entry `path` really lies; None if it is not there, or deleted."""
        found = self._parts(path)
        return found[0] if found else None

    def names(self, path: str) -> set[str]:
        """What the directory `path` holds."""
        candidates = {name for part in self._parts(path) for name in os.listdir(part)}
        return {name for name in candidates if self.find(f"{path}/{name}" if path else name)}

    def _parts(self, path: str) -> list[str]:
        """The directories that are merged at `path`, topmost first; or the one entry that is no directory."""
        if path not in self._known:
            above, _, base = path.rpartition("/")
            parts: list[str] = []
            for folder in self._parts(above):
                entry = os.path.join(folder, base)
                try:
                    status = os.lstat(entry)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                if is_whiteout(status) or (parts and not stat.S_ISDIR(status.st_mode)):
                    break
                parts.append(entry)
                if not stat.S_ISDIR(status.st_mode) or is_opaque(entry):
                    break
            self._known[path] = parts
        return self._known[path]


def listed(kinds: Mapping[str, str]) -> list[Change]:
    """Changes by path ("a/b" → letter) as docker lists them: sorted, every directory above a change is changed itself."""
    found = dict(kinds)
    for path in kinds:
        above = path.rpartition("/")[0]
        while above and above not in found:
            found[above] = "C"
            above = above.rpartition("/")[0]
    return [Change(kind, f"/{path}") for path, kind in sorted(found.items())]


def compared(old: str, new: str, *, shift: tuple[int, int] = (0, 0)) -> list[Change]:
    """How the tree `new` differs from the tree `old`, by walking both (moby pkg/archive/changes.go).

    shift: by how much uids and gids of `new` are raised for a user namespace; no change in itself.
    """
    before, kinds = dict(walk(old)), {}
    now = dict(walk(new))
    for path, status in now.items():
        if path not in before:
            kinds[path] = "A"
        elif path and differ(before[path], os.path.join(old, path), status, os.path.join(new, path), shift):
            kinds[path] = "C"
    for path in before.keys() - now.keys():
        above = now.get(path.rpartition("/")[0])
        if above is not None and stat.S_ISDIR(above.st_mode):  # else its directory's own line says it
            kinds[path] = "D"
    return listed(kinds)


def overlaid(upper: str, lower: Sequence[str]) -> list[Change]:
    """The same for an overlayfs upper directory over its lower ones: only `upper` is walked."""
    below, kinds = Stack(lower), {}
    for path, status in walk(upper):
        own, old = os.path.join(upper, path), below.find(path)
        if not path:
            continue
        if is_whiteout(status):
            if old:
                kinds[path] = "D"
        elif old is None:
            kinds[path] = "A"
        else:
            if differ(os.lstat(old), old, status, own):
                kinds[path] = "C"
            if stat.S_ISDIR(status.st_mode) and os.path.isdir(old) and not os.path.islink(old) and is_opaque(own):
                kinds |= {f"{path}/{name}": "D" for name in below.names(path) - set(os.listdir(own))}
    return listed(kinds)

"""Guarded extraction: whatever an archive says, nothing outside the root is touched.

Each member is placed in three moves, and each is safe on its own::

    names.clean("a/b/../c")     text only: a name that climbs out is refused
    parent = openat2(root, "a", RESOLVE_IN_ROOT)    the kernel resolves links as if root were "/": none leads out
    mkdirat / openat(O_EXCL|O_NOFOLLOW) / linkat / symlinkat / mknodat (parent, "c")    the last part is never followed

What is in the way is removed first, as docker does (a directory stays when the member is a directory too); so an entry never
writes *through* an earlier one. Owners are set before modes (chown clears set-user-ID), times of directories at the very end.

`Limits` stops bombs: what is written is counted as it is written, not as a header declares it.
"""

from __future__ import annotations

import enum
import errno
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from minidock.errors import InvalidParameter, SystemFault
from minidock.graph.archive import names, reader
from minidock.graph.archive.reader import Body
from minidock.graphdriver.tree import OPAQUE_XATTR, remove_tree
from minidock.linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

XATTR = "SCHILY.xattr."  # the pax keyword that star invented and everybody uses
# Attributes that a layer may bring. "trusted." would let it speak to overlayfs (redirects), other "security." to the LSM.
ALLOWED_XATTRS = ("security.capability", "user.", "system.posix_acl_")
FORBIDDEN_XATTRS = ("user.overlay.",)
_DIR = os.O_RDONLY | os.O_DIRECTORY
_CHUNK = 1 << 20
_KINDS = {tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK, tarfile.FIFOTYPE: stat.S_IFIFO}


class Whiteouts(enum.Enum):
    """What a ``.wh.NAME`` member means."""

    OVERLAY = "overlay"  # becomes overlayfs's whiteout; ".wh..wh..opq" its opaque attribute
    APPLY = "apply"  # deletes NAME, which a copy of the parent holds (vfs)
    LITERAL = "literal"  # a file like any other (docker cp)


@dataclass(frozen=True)
class Limits:
    """How much one archive may bring: bytes written, entries, and bytes that must stay free on the file system."""

    bytes: int = 1 << 40
    entries: int = 4_000_000
    keep_free: int = 64 << 20


@dataclass
class Extracted:
    """What came of it: bytes of regular files (docker's layer size) and members."""

    size: int = 0
    entries: int = 0


def extract(
    stream: reader.TarStream,
    root: str | os.PathLike[str],
    *,
    whiteouts: Whiteouts = Whiteouts.LITERAL,
    devices: bool = False,
    limits: Limits | None = None,
    owner: tuple[int, int] | None = None,
) -> Extracted:
    """Unpack all members of `stream` below the directory `root`.

    devices: whether device nodes are made (image layers) or refused. owner: uid and gid for everything instead of the
    archive's own. Raises InvalidParameter (bad or hostile archive; docker's words), SystemFault (disk full, …). What was
    unpacked before an error stays: the caller extracts into a directory that it throws away.
    """
    root_fd = os.open(root, _DIR | os.O_CLOEXEC)
    try:
        unpacker = _Unpacker(root_fd, whiteouts, devices, limits or Limits(), owner)
        try:
            for member, body in reader.read(stream):
                unpacker.member(member, body)
            unpacker.finish()
        except OSError as e:
            if e.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENOENT):
                raise InvalidParameter(f"invalid archive: {names.printable(unpacker.current)}: {os.strerror(e.errno)}") from e
            raise SystemFault("extract", names.printable(unpacker.current), e.errno or 0) from e
        finally:
            unpacker.close()
        return unpacker.done
    finally:
        os.close(root_fd)


class _Unpacker:
    """The state of one extraction."""

    def __init__(self, root: int, whiteouts: Whiteouts, devices: bool, limits: Limits, owner: tuple[int, int] | None) -> None:
        self._root, self._whiteouts, self._devices, self._limits, self._owner = root, whiteouts, devices, limits, owner
        self._parent, self._parent_fd = "", os.dup(root)
        self._times: list[tuple[str, int]] = []
        self._ours: set[str] = set()  # for APPLY: what this layer brought, which its opaque marks must spare
        self._written = self._next_check = 0
        self.current = ""
        self.done = Extracted()

    def close(self) -> None:
        """Give the cached descriptor back."""
        os.close(self._parent_fd)

    def member(self, member: tarfile.TarInfo, body: Body | None) -> None:
        """Place one member."""
        self.current = member.name
        self.done.entries += 1
        if self.done.entries > self._limits.entries:
            raise InvalidParameter(f"the archive has more than {self._limits.entries} entries")
        path = names.clean(member.name)
        if not path:
            if not member.isdir():
                raise InvalidParameter(f'invalid name "{names.printable(member.name)}" in archive')
            self._attributes(member, self._root, ".", path)
            return
        parent, _, base = path.rpartition("/")
        if self._whiteouts is not Whiteouts.LITERAL:
            if any(part.startswith(names.META) for part in path.split("/")[:-1]) or (
                base.startswith(names.META) and base != names.OPAQUE
            ):
                return  # aufs's own entries (.wh..wh.plnk/…): metadata of another driver, as docker skips them
            if base == names.OPAQUE:
                self._opaque(parent)
                return
            if (hidden := names.whiteout(base)) is not None:
                self._whiteout(member, parent, hidden)
                return
        self._place(member, body, path, self._open_parent(parent), base)
        if self._whiteouts is Whiteouts.APPLY:
            self._ours.add(path)

    def finish(self) -> None:
        """Directories get their times last: filling one changes them."""
        for path, when in reversed(self._times):
            with suppress(FileNotFoundError, NotADirectoryError):  # a later member replaced it
                fd = openat2(self._root, path or ".", _DIR, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
                try:
                    os.utime(fd, ns=(when, when))
                finally:
                    os.close(fd)

    def _open_parent(self, path: str) -> int:
        """The directory `path`, made where it is missing (0755). Cached: an archive lists a directory's files in a row."""
        if path != self._parent:
            fd = self._resolve(path)
            os.close(self._parent_fd)
            self._parent, self._parent_fd = path, fd
        return self._parent_fd

    def _resolve(self, path: str) -> int:
        how = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
        with suppress(FileNotFoundError):
            return openat2(self._root, path or ".", _DIR, resolve=how)
        above, _, base = path.rpartition("/")
        fd = self._resolve(above)
        try:
            with suppress(FileExistsError):  # a dangling link: the openat2 below says so
                os.mkdir(base, 0o755, dir_fd=fd)
                if self._owner:
                    os.chown(base, *self._owner, dir_fd=fd, follow_symlinks=False)
        finally:
            os.close(fd)
        return openat2(self._root, path, _DIR, resolve=how)

    def _clear(self, fd: int, base: str, *, keep_dir: bool = False) -> bool:
        """Remove what is at `base`; True if a directory was there and stays."""
        try:
            there = os.stat(base, dir_fd=fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not stat.S_ISDIR(there.st_mode):
            os.unlink(base, dir_fd=fd)
            return False
        if not keep_dir:
            remove_tree(f"/proc/self/fd/{fd}/{base}")
        return keep_dir

    def _place(self, member: tarfile.TarInfo, body: Body | None, path: str, fd: int, base: str) -> None:
        """Make one entry `base` in the directory `fd`."""
        target = names.hard_link(path, member.linkname) if member.islnk() else ""
        if target == path:
            raise InvalidParameter(f'invalid hardlink "{names.printable(path)}" -> "{names.printable(target)}"')
        kept = self._clear(fd, base, keep_dir=member.isdir())
        if member.isdir():
            if not kept:
                os.mkdir(base, 0o700, dir_fd=fd)
            self._attributes(member, fd, base, path)
        elif body is not None:
            self._file(member, body, fd, base)
        elif member.issym():
            names.check_symlink(path, member.linkname)
            os.symlink(member.linkname, base, dir_fd=fd)
            self._own(member, fd, base)
        elif member.islnk():
            self._link(target, path, fd, base)
            return
        elif member.type in _KINDS:
            self._node(member, fd, base)
        else:
            raise InvalidParameter(f"unhandled tar header type {ord(member.type)}")
        if not member.isdir():
            when = mtime(member)
            os.utime(base, ns=(when, when), dir_fd=fd, follow_symlinks=False)

    def _file(self, member: tarfile.TarInfo, body: Body, fd: int, base: str) -> None:
        """A regular file: contents first, then owner, attributes and mode. Holes of a sparse member stay holes."""
        out = os.open(base, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=fd)
        try:
            for offset, size in body.parts:
                os.lseek(out, offset, os.SEEK_SET)
                self._copy(body, out, size)
            if member.issparse():
                os.ftruncate(out, member.size)
            self._described(member, out)
        finally:
            os.close(out)
        self.done.size += member.size

    def _copy(self, body: Body, out: int, size: int) -> None:
        while size > 0:
            data = body.read(min(size, _CHUNK))
            size -= len(data)
            self._account(len(data))
            view = memoryview(data)
            while view:
                view = view[os.write(out, view) :]

    def _account(self, size: int) -> None:
        """Count what is written; look now and then whether the disk can take more."""
        self._written += size
        if self._written > self._limits.bytes:
            raise InvalidParameter(f"the archive holds more than {self._limits.bytes} bytes")
        if self._written >= self._next_check:
            self._next_check = self._written + (32 << 20)
            free = os.fstatvfs(self._root)
            if free.f_bavail * free.f_frsize < self._limits.keep_free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _link(self, target: str, path: str, fd: int, base: str) -> None:
        """A hard link to what the archive brought before; linkat(2) without AT_SYMLINK_FOLLOW never follows `target`."""
        above, _, name = target.rpartition("/")
        try:
            source = openat2(self._root, above or ".", _DIR, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
            try:
                os.link(name, base, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
            finally:
                os.close(source)
        except (FileNotFoundError, NotADirectoryError, PermissionError) as e:
            why = os.strerror(e.errno or 0).lower()
            raise InvalidParameter(f'invalid hardlink "{names.printable(path)}" -> "{names.printable(target)}": {why}') from e

    def _node(self, member: tarfile.TarInfo, fd: int, base: str) -> None:
        """A device node or fifo. A device is only an inode here: the container's device cgroup and nodev decide its use."""
        kind = _KINDS[member.type]
        if kind != stat.S_IFIFO and not self._devices:
            raise InvalidParameter(f'device node "{names.printable(self.current)}" in archive')
        major, minor = (0, 0) if kind == stat.S_IFIFO else (member.devmajor, member.devminor)
        if not (0 <= major < 1 << 12 and 0 <= minor < 1 << 20):
            raise InvalidParameter(f'invalid device number {major}:{minor} of "{names.printable(self.current)}"')
        if kind == stat.S_IFCHR and (major, minor) == (0, 0):  # overlayfs would read it as a deletion
            raise InvalidParameter(f'invalid device number 0:0 of "{names.printable(self.current)}"')
        os.mknod(base, kind | 0o600, os.makedev(major, minor), dir_fd=fd)
        self._own(member, fd, base)
        os.chmod(base, member.mode & 0o7777, dir_fd=fd)

    def _attributes(self, member: tarfile.TarInfo, fd: int, base: str, path: str) -> None:
        """Owner, mode and attributes of a directory now, its time at the end."""
        own = os.open(base, _DIR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        try:
            self._described(member, own)
        finally:
            os.close(own)
        self._times.append((path, mtime(member)))

    def _described(self, member: tarfile.TarInfo, fd: int) -> None:
        os.fchown(fd, *self._ids(member))
        for key, value in member.pax_headers.items():
            name = key.removeprefix(XATTR)
            if name != key and name.startswith(ALLOWED_XATTRS) and not name.startswith(FORBIDDEN_XATTRS):
                with suppress_unsupported():
                    os.setxattr(fd, name, value.encode("utf-8", "surrogateescape"))
        os.fchmod(fd, member.mode & 0o7777)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            when = mtime(member)
            os.utime(fd, ns=(when, when))

    def _own(self, member: tarfile.TarInfo, fd: int, base: str) -> None:
        os.chown(base, *self._ids(member), dir_fd=fd, follow_symlinks=False)

    def _ids(self, member: tarfile.TarInfo) -> tuple[int, int]:
        if self._owner is not None:
            return self._owner
        if not (0 <= member.uid < (1 << 32) - 1 and 0 <= member.gid < (1 << 32) - 1):
            raise InvalidParameter(f'invalid owner {member.uid}:{member.gid} of "{names.printable(self.current)}"')
        return member.uid, member.gid

    def _whiteout(self, member: tarfile.TarInfo, parent: str, hidden: str) -> None:
        fd = self._open_parent(parent)
        self._clear(fd, hidden)
        if self._whiteouts is Whiteouts.OVERLAY:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=fd)
            self._own(member, fd, hidden)

    def _opaque(self, parent: str) -> None:
        """Nothing of the lower layers shows in this directory."""
        fd = self._open_parent(parent)
        if self._whiteouts is Whiteouts.OVERLAY:
            os.setxattr(fd, OPAQUE_XATTR, b"y")
            return
        pending = [parent]
        while pending:
            path = pending.pop()
            fd = self._resolve(path)
            try:
                for name in os.listdir(fd):
                    child = f"{path}/{name}" if path else name
                    if child not in self._ours:
                        self._clear(fd, name)
                    elif stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                        pending.append(child)
            finally:
                os.close(fd)


@contextmanager
def suppress_unsupported() -> Iterator[None]:
    """An attribute that this file system cannot hold is left out, as docker does."""
    try:
        yield
    except OSError as e:
        if e.errno not in (errno.ENOTSUP, errno.EPERM):
            raise


def mtime(member: tarfile.TarInfo) -> int:
    """The modification time in nanoseconds; pax gives it as decimal text, which a float would round."""
    text = member.pax_headers.get("mtime", "")
    whole, _, fraction = text.partition(".")
    if whole.removeprefix("-").isdecimal() and (not fraction or fraction.isdecimal()):
        part = int((fraction + "000000000")[:9])
        when = int(whole) * 10**9 + (-part if whole.startswith("-") else part)
    else:
        when = int(member.mtime) * 10**9
    return min(max(when, -(1 << 62)), 1 << 62)

"""The vfs driver: every layer a whole copy of its parent. Slow and large, and right on any file system.

::

    ROOT/vfs/<id>/
        root/      the whole tree, the parent's part included
        parent     "<id of the parent, empty for a base layer> <uid shift> <gid shift>"

What is copied: contents (shared blocks where the file system can, holes stay holes), hard links among themselves, owners,
modes, extended attributes, device nodes, times. The copy is made in ``ROOT/tmp`` and renamed into place.

See moby ``daemon/graphdriver/vfs`` and ``daemon/graphdriver/copy``.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from minidock import errors
from minidock.graphdriver import Change
from minidock.graphdriver.detached import detached
from minidock.graphdriver.overlay import checked, fault, filesystem
from minidock.graphdriver.scratch import Scratch
from minidock.graphdriver.tree import compared, walk
from minidock.libcontainer.config import RootMount
from minidock.linux.trace import step


class Vfs:
    """GraphDriver by copying. `home` is ``ROOT/vfs``."""

    name = "vfs"

    def __init__(self, home: Path) -> None:
        self._home = os.fspath(home)
        self.scratch = Scratch.of(os.path.join(os.path.dirname(self._home), "tmp"))
        os.makedirs(self._home, mode=0o700, exist_ok=True)

    def create(self, id: str, parent: str | None, *, owner: tuple[int, int] = (0, 0)) -> Path:
        """Make a layer that holds what `parent` holds; returns its directory.

        owner: the root directory's uid and gid; with a user namespace the whole copy is shifted by them. Raises
        InvalidParameter (no such parent), Conflict (`id` is there), SystemFault.
        """
        final = os.path.join(self._home, checked(id))
        with fault("create layer", id), ExitStack() as undo:
            if parent is not None and not self.exists(parent):
                raise errors.InvalidParameter(f"layer {parent} does not exist")
            half = self.scratch.name("layer")
            undo.callback(self.scratch.discard, half)
            os.mkdir(half, 0o700)
            os.mkdir(os.path.join(half, "root"))
            os.chmod(os.path.join(half, "root"), 0o755)
            if parent is not None:
                with step("copy layer", parent):
                    copy_tree(os.path.join(self._home, parent, "root"), os.path.join(half, "root"), shift=owner)
            elif owner != (0, 0):
                os.chown(os.path.join(half, "root"), *owner)
            with open(os.path.join(half, "parent"), "w", encoding="ascii") as file:
                file.write(f"{parent or ''} {owner[0]} {owner[1]}")
            with step("create layer", final):
                try:
                    os.rename(half, final)
                except OSError as e:
                    if e.errno in (errno.EEXIST, errno.ENOTEMPTY):
                        raise errors.Conflict(f"layer {id} exists") from None
                    raise
                undo.callback(self.remove, id)
            undo.pop_all()
        return Path(final, "root")

    def remove(self, id: str) -> None:
        """Delete the layer. Silently does nothing if it is not there. Raises SystemFault."""
        with fault("remove layer", id), step("remove layer", id):
            self.scratch.discard(os.path.join(self._home, checked(id)))

    def exists(self, id: str) -> bool:
        """Whether the layer is there, whole (layers appear by rename)."""
        return os.path.exists(os.path.join(self._home, checked(id), "parent"))

    def root(self, id: str, *, readonly: bool = False) -> RootMount:
        """The directory, as a bind mount."""
        if not self.exists(id):
            raise errors.InvalidParameter(f"layer {id} does not exist")
        return RootMount("bind", source=os.path.join(self._home, id, "root"), readonly=readonly)

    @contextmanager
    def mounted(self, id: str, *, readonly: bool = True) -> Iterator[Path]:
        """The tree for the time of a ``with``; read-only is a detached bind mount, else it is the directory itself."""
        root = self.root(id, readonly=readonly)
        with ExitStack() as stack:
            with fault("mount layer", id):
                path = stack.enter_context(detached(root, self.scratch)) if readonly else Path(root.source)
            yield path

    def changes(self, id: str) -> list[Change]:
        """What differs from the parent, by walking both. Raises SystemFault."""
        with fault("diff layer", id):
            own = self.root(id).source
            with open(os.path.join(self._home, id, "parent"), encoding="ascii") as file:
                parent, uid, gid = file.read().split(" ")
            if parent:
                return compared(self.root(parent).source, own, shift=(int(uid), int(gid)))
            with self.scratch.directory("empty") as empty:
                return compared(os.fspath(empty), own)

    def status(self) -> list[tuple[str, str]]:
        """The rows of ``docker info``."""
        return [("Backing Filesystem", filesystem(self._home))]

    def metadata(self, id: str) -> dict[str, str]:
        """GraphDriver.Data of inspect: docker's vfs gives none; the directory is ours to show."""
        return {"Dir": self.root(id).source}


def copy_tree(source: str, target: str, *, shift: tuple[int, int] = (0, 0)) -> None:
    """Make the directory `target` a faithful copy of `source`; uids and gids are raised by `shift`. Raises OSError."""
    links: dict[int, str] = {}
    folders: list[tuple[str, os.stat_result]] = []
    for path, status in walk(source):
        old, new = os.path.join(source, path), os.path.join(target, path)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            if path:
                os.mkdir(new, 0o700)
            folders.append((new, status))
        elif status.st_ino in links:
            os.link(links[status.st_ino], new, follow_symlinks=False)
            continue
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(old), new)
        elif kind == stat.S_IFREG:
            _copy_file(old, new, status.st_size)
        else:
            os.mknod(new, kind | 0o600, status.st_rdev)
        if status.st_nlink > 1 and kind != stat.S_IFDIR:
            links[status.st_ino] = new
        os.chown(new, status.st_uid + shift[0], status.st_gid + shift[1], follow_symlinks=False)
        for name in os.listxattr(old, follow_symlinks=False):
            with suppress(PermissionError):  # another security module's label, which it sets itself
                os.setxattr(new, name, os.getxattr(old, name, follow_symlinks=False), follow_symlinks=False)
        if kind != stat.S_IFLNK:
            os.chmod(new, stat.S_IMODE(status.st_mode))
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
    for new, status in reversed(folders):  # filling a directory changed its time
        os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_file(old: str, new: str, size: int) -> None:
    """Copy the data, leave the holes. copy_file_range(2) shares blocks where the file system can (btrfs, xfs)."""
    with open(old, "rb", buffering=0) as source, open(new, "xb", buffering=0) as target:
        os.truncate(target.fileno(), size)
        begin = 0
        while begin < size:
            try:
                begin = os.lseek(source.fileno(), begin, os.SEEK_DATA)
            except OSError as e:
                if e.errno == errno.ENXIO:  # only a hole is left
                    return
                raise
            end = os.lseek(source.fileno(), begin, os.SEEK_HOLE)
            while begin < end:
                done = _copy_range(source.fileno(), target.fileno(), end - begin, begin)
                if not done:  # it shrank meanwhile
                    return
                begin += done


def _copy_range(source: int, target: int, count: int, offset: int) -> int:
    try:
        return os.copy_file_range(source, target, count, offset, offset)
    except OSError as e:
        if e.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    return os.pwrite(target, os.pread(source, min(count, 1 << 20), offset), offset)

"""The single acts that make a root file system. Each is frozen data that can `apply` itself and say, as `str`, what a
shell would do for the same. `rootfs.plan` makes the list, init carries it out.

No act trusts a path in the image: targets are opened by `Root.open` with openat2(2) and RESOLVE_IN_ROOT, under which links and
``..`` lead no further than the container's root (an image whose /proc is a link to /etc cannot make us mount on the host's
/etc), and mounts are made on the *descriptor*, so that nothing can be exchanged between looking and mounting
(CVE-2019-16884, CVE-2021-30465). Host paths of bind mounts were opened by the parent, before there was a child at all.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from dataclasses import dataclass, field

from minidock.errors import StartError
from minidock.libcontainer import options as mountopts
from minidock.libcontainer.config import Device
from minidock.linux import mount
from minidock.linux.files import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

STAGE = "/tmp"  # where the root is attached until pivot_root; our mount namespace is our own by then


@dataclass
class Root:
    """The root under construction: `fd` is its top directory; `tree` the detached mount it comes from.

    `sources` are the detached bind mounts that the parent opened, by operation. `fd` is -1 until AttachRoot.
    """

    tree: int = -1
    sources: dict[Operation, int] = field(default_factory=dict)
    user_namespace: bool = False
    fd: int = -1

    def open(self, path: str, create: str = "", resolve: int = RESOLVE_IN_ROOT) -> int:
        """An O_PATH descriptor of `path` inside the root, made first if `create` ("dir" or "file") and missing."""
        try:
            return openat2(self.fd, path, os.O_PATH, 0, RESOLVE_IN_ROOT | resolve)
        except FileNotFoundError:
            if not create:
                raise
        parent, name = posixpath.split(posixpath.normpath(path))
        directory = self.open(parent, "dir", resolve)
        try:
            if create == "dir":
                os.mkdir(name, 0o755, dir_fd=directory)
            else:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(name, flags, 0o644, dir_fd=directory))
        finally:
            os.close(directory)
        return openat2(self.fd, path, os.O_PATH, 0, RESOLVE_IN_ROOT | resolve)


@dataclass(frozen=True)
class Operation:
    """One act on the root. `path` is where in the container (or on the host, before there is a root)."""

    path: str

    def apply(self, root: Root) -> None:
        """Do it. Raises OSError."""
        raise NotImplementedError


@dataclass(frozen=True)
class SetPropagation(Operation):
    """What we mount must not reach the host, nor (unless asked for) the other way round (mount_namespaces(7))."""

    propagation: str

    def apply(self, root: Root) -> None:  # noqa: ARG002  there is none yet
        mount.mount("", self.path, "", mountopts.PROPAGATION[self.propagation])

    def __str__(self) -> str:
        return f"mount --make-{self.propagation} {self.path}"


@dataclass(frozen=True)
class AttachRoot(Operation):
    """Attach the detached root, so that things can be mounted below it."""

    source: str

    def apply(self, root: Root) -> None:
        stage = os.open(self.path, os.O_PATH | os.O_CLOEXEC)
        try:
            mount.move_mount(root.tree, stage)
        finally:
            os.close(stage)
        root.fd = root.tree

    def __str__(self) -> str:
        return f"mount {self.source} {self.path} && cd {self.path}"


@dataclass(frozen=True)
class BindMount(Operation):
    """A file or directory of the host, shown in the container. All of its attributes are set before it is attached."""

    source: str
    recursive: bool = False
    set: int = 0
    clear: int = 0
    propagation: str = "rprivate"
    create: str = "dir"

    def apply(self, root: Root) -> None:
        tree = root.sources[self]
        if self.set or self.clear:
            mount.mount_setattr(tree, self.set, self.clear, recursive=self.recursive)
        if self.propagation:
            how = mountopts.PROPAGATION[self.propagation]
            mount.mount_setattr(tree, propagation=how & ~mount.MS_REC, recursive=bool(how & mount.MS_REC))
        target = root.open(self.path, self.create)
        try:
            mount.move_mount(tree, target)
        finally:
            os.close(target)

    def __str__(self) -> str:
        words = "".join(
            f",{w}"
            for w, a in (
                ("ro", mount.MOUNT_ATTR_RDONLY),
                ("nosuid", mount.MOUNT_ATTR_NOSUID),
                ("nodev", mount.MOUNT_ATTR_NODEV),
            )
            if self.set & a
        )
        return f"mount -o {'rbind' if self.recursive else 'bind'}{words} {self.source} .{self.path}"


@dataclass(frozen=True)
class MountFs(Operation):
    """A new instance of a file system: proc, tmpfs, devpts, sysfs, mqueue, cgroup2.

    In a user namespace the kernel refuses some of them when the namespace they show is not owned by it
    (mount_too_revealing in fs/namespace.c: /sys with the host's network, /proc with its pids). Then the host's own is shown,
    as runc does.
    """

    type: str
    source: str
    flags: int = 0
    data: str = ""
    create: str = "dir"

    _HOST = {"proc": "/proc", "sysfs": "/sys", "mqueue": "/dev/mqueue", "cgroup2": "/sys/fs/cgroup"}  # noqa: RUF012

    def apply(self, root: Root) -> None:
        # A link in the place of /proc or /sys would make later writes go where the image's author wants (CVE-2019-19921).
        special = self.type in self._HOST
        try:
            target = root.open(self.path, self.create, RESOLVE_NO_SYMLINKS if special else 0)
        except OSError as e:
            if e.errno == errno.ELOOP and special:
                raise StartError(f"mount {self.type}", self.path, e.errno, "must be mounted on an ordinary directory") from e
            raise
        try:
            mount.mount(self.source, f"/proc/self/fd/{target}", self.type, self.flags, self.data)
        except PermissionError:
            if not (special and root.user_namespace):
                raise
            self._show_the_hosts(target)
        finally:
            os.close(target)

    def _show_the_hosts(self, target: int) -> None:
        tree = mount.open_tree(self._HOST[self.type], recursive=True)
        try:
            if self.flags & mount.MS_RDONLY:
                mount.mount_setattr(tree, mount.MOUNT_ATTR_RDONLY, recursive=True)
            mount.move_mount(tree, target)
        finally:
            os.close(tree)

    def __str__(self) -> str:
        words = ",".join(filter(None, ["ro" if self.flags & mount.MS_RDONLY else "", self.data]))
        return f"mount -t {self.type}{f' -o {words}' if words else ''} {self.source} .{self.path}"


@dataclass(frozen=True)
class MakeNode(Operation):
    """A device node; in a user namespace, where mknod(2) is never allowed, a bind mount of the host's."""

    device: Device

    def apply(self, root: Root) -> None:
        device = self.device
        parent, name = posixpath.split(self.path)
        if root.user_namespace:
            self._bind(root)
            return
        directory = root.open(parent, "dir")
        try:
            kind = {"c": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}[device.kind]
            os.mknod(name, kind | device.mode, os.makedev(device.major, device.minor), dir_fd=directory)
            if device.uid or device.gid:
                os.chown(name, device.uid, device.gid, dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(directory)

    def _bind(self, root: Root) -> None:
        tree = mount.open_tree(self.device.host_path or self.path)
        try:
            target = root.open(self.path, "file")
            try:
                mount.move_mount(tree, target)
            finally:
                os.close(target)
        finally:
            os.close(tree)

    def __str__(self) -> str:
        d = self.device
        return f"mknod -m {d.mode:o} .{self.path} {d.kind} {d.major} {d.minor}"


@dataclass(frozen=True)
class Symlink(Operation):
    """A symbolic link at `path`; one that is there already is left."""

    to: str

    def apply(self, root: Root) -> None:
        parent, name = posixpath.split(self.path)
        directory = root.open(parent, "dir")
        try:
            os.symlink(self.to, name, dir_fd=directory)
        except FileExistsError:
            return
        finally:
            os.close(directory)

    def __str__(self) -> str:
        return f"ln -s {self.to} .{self.path}"


@dataclass(frozen=True)
class MakeDirectory(Operation):
    """A directory, with those above it, if it is not there: docker makes a missing working directory."""

    def apply(self, root: Root) -> None:
        os.close(root.open(self.path, "dir"))

    def __str__(self) -> str:
        return f"mkdir -p .{self.path}"


@dataclass(frozen=True)
class Mask(Operation):
    """Hide a path that tells about the host: a directory under an empty tmpfs, a file under /dev/null. No path, no mask."""

    def apply(self, root: Root) -> None:
        try:
            target = root.open(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            if stat.S_ISDIR(os.fstat(target).st_mode):
                mount.mount("tmpfs", f"/proc/self/fd/{target}", "tmpfs", mount.MS_RDONLY, "nr_inodes=2")
            else:
                tree = mount.open_tree("/dev/null")
                try:
                    mount.move_mount(tree, target)
                finally:
                    os.close(tree)
        finally:
            os.close(target)

    def __str__(self) -> str:
        return f"mount -o bind /dev/null .{self.path} || mount -t tmpfs -o ro tmpfs .{self.path}"


@dataclass(frozen=True)
class ReadOnly(Operation):
    """Make one path read-only by mounting it on itself. No path, nothing to do."""

    def apply(self, root: Root) -> None:
        try:
            target = root.open(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            tree = mount.open_tree("", dirfd=target, recursive=True)
            try:
                mount.mount_setattr(tree, mount.MOUNT_ATTR_RDONLY, recursive=True)
                mount.move_mount(tree, target)
            finally:
                os.close(tree)
        finally:
            os.close(target)

    def __str__(self) -> str:
        return f"mount -o rbind,ro .{self.path} .{self.path}"


@dataclass(frozen=True)
class ReadOnlyMount(Operation):
    """Make the mount that `path` is the top of read-only: the root itself, or a tmpfs once it has been filled."""

    def apply(self, root: Root) -> None:
        target = root.open(self.path)
        try:
            mount.mount_setattr(target, mount.MOUNT_ATTR_RDONLY)
        finally:
            os.close(target)

    def __str__(self) -> str:
        return f"mount -o remount,bind,ro .{self.path}"


@dataclass(frozen=True)
class PivotRoot(Operation):
    """Make the root ours, and drop the host's. Unlike chroot(2), nothing of the old tree stays in the namespace."""

    def apply(self, root: Root) -> None:
        os.fchdir(root.fd)
        mount.pivot_root(".", ".")
        mount.umount(".", mount.MNT_DETACH)
        os.chdir("/")

    def __str__(self) -> str:
        return "pivot_root . . && umount -l ."

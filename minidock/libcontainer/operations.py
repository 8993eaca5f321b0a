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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from minidock.errors import StartError
from minidock.frozen import Frozen
from minidock.libcontainer import covering
from minidock.libcontainer import options as mountopts
from minidock.linux import mount
from minidock.linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, openat2

STAGE = "/tmp"  # where the root is attached until pivot_root; our mount namespace is our own by then
# What a user namespace cannot mount unless it owns the namespace behind it, and where the host has it.
_HOSTS_OWN = {"proc": "/proc", "sysfs": "/sys", "mqueue": "/dev/mqueue", "cgroup2": "/sys/fs/cgroup"}


class Root:
    """The root under construction: `fd` is its top directory; `tree` the detached mount it comes from.

    `sources` are the detached bind mounts that the parent opened, by (operation's path, host's path). `fd` is -1 until
    AttachRoot.
    """

    def __init__(self, tree: int, *, user_namespace: bool) -> None:
        self.tree, self.fd, self.user_namespace = tree, -1, user_namespace
        self.sources: dict[tuple[str, str], int] = {}

    def open(self, path: str, create: str = "", resolve: int = RESOLVE_IN_ROOT, *, behind_links: bool = False) -> int:
        """An O_PATH descriptor of `path` inside the root, made first if `create` ("dir" or "file") and missing.

        `behind_links`: where a link leads to nothing, what it names is made, inside the root like all else.
        """
        try:
            return openat2(self.fd, path, os.O_PATH, 0, RESOLVE_IN_ROOT | resolve)
        except FileNotFoundError:
            if not create:
                raise
        parent, name = posixpath.split(posixpath.normpath(path))
        directory = self.open(parent, "dir", resolve, behind_links=behind_links)
        try:
            if create == "dir":
                os.mkdir(name, 0o755, dir_fd=directory)
            else:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(name, flags, 0o644, dir_fd=directory))
        except FileExistsError:
            if not stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
                pass  # another container, with the same volume, was faster
            elif behind_links:
                missing = posixpath.join("/", _inside(directory), os.readlink(name, dir_fd=directory))
                return self.open(missing, create, resolve, behind_links=True)
            else:
                raise
        finally:
            os.close(directory)
        return openat2(self.fd, path, os.O_PATH, 0, RESOLVE_IN_ROOT | resolve)


class Operation(Frozen):
    """One act on the root. `path` is where in the container (or on the host, before there is a root); `step` is the word for
    it in an error message."""

    step: ClassVar[str]
    path: str

    def apply(self, root: Root) -> None:
        """Do it. Raises OSError."""
        raise NotImplementedError

    def sources(self) -> tuple[tuple[str, bool], ...]:
        """The host paths that the parent must open for it, each with whether to take along what is mounted below."""
        return ()


@contextmanager
def detached(fd: int) -> Iterator[int]:
    """Close a descriptor at the end of a ``with``: an O_PATH one, or a mount that is attached by then."""
    try:
        yield fd
    finally:
        os.close(fd)


def _inside(target: int) -> str:
    """Where in the container an opened target lies, all links followed."""
    return os.readlink(f"/proc/self/fd/{target}").removeprefix(STAGE)


class SetPropagation(Operation):
    """What we mount must not reach the host, nor (unless asked for) the other way round (mount_namespaces(7))."""

    step = "set mount propagation"
    propagation: str

    def apply(self, root: Root) -> None:  # noqa: ARG002  there is none yet
        mount.mount("", self.path, "", mountopts.PROPAGATION[self.propagation])

    def __str__(self) -> str:
        return f"mount --make-{self.propagation} {self.path}"


class AttachRoot(Operation):
    """Attach the detached root, so that things can be mounted below it."""

    step = "attach root"
    source: str

    def apply(self, root: Root) -> None:
        with detached(os.open(self.path, os.O_PATH | os.O_CLOEXEC)) as stage:
            mount.move_mount(root.tree, stage)
        root.fd = root.tree

    def __str__(self) -> str:
        return f"mount {self.source} {self.path} && cd {self.path}"


class BindMount(Operation):
    """A file or directory of the host, shown in the container. All of its attributes are set before it is attached."""

    step = "bind mount"
    source: str
    recursive: bool = False
    set: int = 0
    clear: int = 0
    propagation: str = "rprivate"
    create: str = "dir"

    def sources(self) -> tuple[tuple[str, bool], ...]:
        return ((self.source, self.recursive),)

    def apply(self, root: Root) -> None:
        tree = root.sources[self.path, self.source]
        how = mountopts.PROPAGATION[self.propagation]
        if self.set or self.clear:
            mount.mount_setattr(tree, self.set, self.clear, recursive=self.recursive)
        if how:
            mount.mount_setattr(tree, propagation=how & ~mount.MS_REC, recursive=bool(how & mount.MS_REC))
        with detached(self._target(root)) as target:
            covering.by_bind(self.source, self.path, _inside(target), tree, target)
            mount.move_mount(tree, target)

    def _target(self, root: Root) -> int:
        try:
            return root.open(self.path, self.create)
        except FileNotFoundError:
            if error := covering.missing(self.source, self.path):
                raise error from None
            raise

    def __str__(self) -> str:
        words = "".join(f",{word}" for word, attribute in mountopts.ATTRIBUTE_WORDS.items() if self.set & attribute)
        return f"mount -o {'rbind' if self.recursive else 'bind'}{words} {self.source} .{self.path}"


class MountFs(Operation):
    """A new instance of a file system: proc, tmpfs, devpts, sysfs, mqueue, cgroup2.

    A user namespace gets an instance only of what it owns. When the container shares the host's network, pids or ipc, its /sys,
    /proc or /dev/mqueue is the host's anyway: `shared` allows to show that one instead, as runc does.
    """

    step = "mount"
    type: str
    source: str
    flags: int = 0
    data: str = ""
    create: str = "dir"
    shared: bool = False

    def apply(self, root: Root) -> None:
        # A link in the place of /proc or /sys would make later writes go where the image's author wants (CVE-2019-19921).
        special = self.type in _HOSTS_OWN
        try:
            target = root.open(self.path, self.create, RESOLVE_NO_SYMLINKS if special else 0)
        except OSError as e:
            if e.errno == errno.ELOOP and special:
                raise StartError(f"mount {self.type}", self.path, e.errno, "must be mounted on an ordinary directory") from e
            raise
        try:
            if self.type != "proc":
                covering.by_new(f"mount {self.type} on", self.path, _inside(target))
            mount.mount(self.source, f"/proc/self/fd/{target}", self.type, self.flags, self.data)
        except PermissionError:
            if not (special and self.shared and root.user_namespace):
                raise
            self._show_the_hosts(target)
        finally:
            os.close(target)

    def _show_the_hosts(self, target: int) -> None:
        readonly = mount.MOUNT_ATTR_RDONLY if self.flags & mount.MS_RDONLY else 0
        with detached(mount.open_tree(_HOSTS_OWN[self.type], recursive=True)) as tree:
            mount.mount_setattr(tree, readonly, recursive=True)
            mount.move_mount(tree, target)

    def __str__(self) -> str:
        words = ",".join(filter(None, ["ro" if self.flags & mount.MS_RDONLY else "", self.data]))
        return f"mount -t {self.type}{f' -o {words}' if words else ''} {self.source} .{self.path}"


class ShowCgroups(Operation):
    """On v1: a tmpfs with one directory per hierarchy, as on the host; below each only the container's own cgroup.

    `directories` are host paths, opened by the parent; `names` what they are called, in the same order. A hierarchy of
    several controllers (``cpu,cpuacct``) gets a link for each.
    """

    step = "mount"
    directories: tuple[str, ...]
    names: tuple[str, ...]
    readonly: bool = True

    def sources(self) -> tuple[tuple[str, bool], ...]:
        return tuple((directory, False) for directory in self.directories)

    def apply(self, root: Root) -> None:
        attributes = mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NODEV | mount.MOUNT_ATTR_NOEXEC
        attributes |= mount.MOUNT_ATTR_RDONLY if self.readonly else 0
        flags = mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
        with detached(root.open(self.path, "dir")) as target:
            mount.mount("tmpfs", f"/proc/self/fd/{target}", "tmpfs", flags, "mode=755")
        with detached(root.open(self.path)) as top:
            for name, directory in zip(self.names, self.directories, strict=True):
                os.mkdir(name, 0o755, dir_fd=top)  # on a tmpfs that nobody else has seen: no link can be in the way
                tree = root.sources[self.path, directory]
                mount.mount_setattr(tree, attributes, propagation=mount.MS_PRIVATE)
                mount.move_mount(tree, top, name)
                for controller in name.split(","):
                    if controller != name:
                        os.symlink(name, controller, dir_fd=top)
            if self.readonly:
                mount.mount_setattr(top, mount.MOUNT_ATTR_RDONLY)

    def __str__(self) -> str:
        mode = ",ro" if self.readonly else ""
        binds = (
            f"mount -o bind{mode} {directory} .{self.path}/{name}"
            for name, directory in zip(self.names, self.directories, strict=True)
        )
        return "\n".join([f"mount -t tmpfs -o mode=755 tmpfs .{self.path}", *binds])


class MakeDirectory(Operation):
    """A directory, with those above it, if it is not there: docker makes a missing working directory, behind links too."""

    step = "make directory"

    def apply(self, root: Root) -> None:
        os.close(root.open(self.path, "dir", behind_links=True))

    def __str__(self) -> str:
        return f"mkdir -p .{self.path}"


@contextmanager
def _null(root: Root) -> Iterator[int]:
    """A detached bind of the container's own /dev/null: of the host's only if its /dev is not one that we made.

    A mask lets its inode be changed (chmod, chown) by root inside, and the host's /dev/null is the whole host's.
    """
    with ExitStack() as stack:
        try:
            own = stack.enter_context(detached(root.open("/dev/null", resolve=RESOLVE_NO_SYMLINKS)))
            ours = os.fstat(own).st_rdev == os.makedev(1, 3) and stat.S_ISCHR(os.fstat(own).st_mode)
        except OSError as e:
            if e.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise
            ours = False
        tree = mount.open_tree("", dirfd=own) if ours else mount.open_tree("/dev/null")
        yield stack.enter_context(detached(tree))


class Mask(Operation):
    """Hide a path that tells about the host: a directory under an empty tmpfs, a file under /dev/null. No path, no mask.

    Both are read-only: a mask's inode can be given no other mode or owner.
    """

    step = "mask"

    def apply(self, root: Root) -> None:
        try:
            target = root.open(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return
        with detached(target):
            if stat.S_ISDIR(os.fstat(target).st_mode):
                mount.mount("tmpfs", f"/proc/self/fd/{target}", "tmpfs", mount.MS_RDONLY, "nr_inodes=2")
                return
            with _null(root) as tree:
                mount.mount_setattr(tree, mount.MOUNT_ATTR_RDONLY | mount.MOUNT_ATTR_NOSUID | mount.MOUNT_ATTR_NOEXEC)
                mount.move_mount(tree, target)

    def __str__(self) -> str:
        return f"mount -o bind,ro ./dev/null .{self.path} || mount -t tmpfs -o ro tmpfs .{self.path}"


class ReadOnly(Operation):
    """Make one path read-only by mounting it on itself. No path, nothing to do."""

    step = "make read-only"

    def apply(self, root: Root) -> None:
        try:
            target = root.open(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return
        with detached(target):
            with detached(mount.open_tree("", dirfd=target, recursive=True)) as tree:
                mount.mount_setattr(tree, mount.MOUNT_ATTR_RDONLY, recursive=True)
                mount.move_mount(tree, target)

    def __str__(self) -> str:
        return f"mount -o rbind,ro .{self.path} .{self.path}"


class ReadOnlyRoot(Operation):
    """``--read-only``: the root's own mount, not what is mounted below it."""

    step = "make read-only"

    def apply(self, root: Root) -> None:
        mount.mount_setattr(root.fd, mount.MOUNT_ATTR_RDONLY)

    def __str__(self) -> str:
        return "mount -o remount,bind,ro ."


class PivotRoot(Operation):
    """Make the root ours, and drop the host's. Unlike chroot(2), nothing of the old tree stays in the namespace."""

    step = "pivot_root"

    def apply(self, root: Root) -> None:
        os.fchdir(root.fd)
        mount.pivot_root(".", ".")
        mount.umount(".", mount.MNT_DETACH)
        os.chdir("/")

    def __str__(self) -> str:
        return "pivot_root . . && umount -l ."

"""The container's root as a *detached* mount: a descriptor that the parent makes and the child attaches.

It must be the parent who makes it. The layers lie below a directory that only root may enter, and an overlay mounted from
inside a user namespace would not read the whiteouts of ours (they are ``trusted.*`` attributes). The new mount interface does
it without anybody seeing a mount::

    fsopen(overlay) → lowerdir+ = each layer, topmost first → upperdir, workdir → fsmount → descriptor

``lowerdir+`` came with Linux 6.7. Before, all layers must go into one option string, of 255 bytes with fsconfig(2) and a page
with mount(2); so on an older kernel the parent steps into a mount namespace of its own for a moment, attaches the layers
under short names on a tmpfs, mounts the overlay there, takes a detached copy of it (open_tree) and steps back. The
namespace is gone with the last one who used it, the copy stays.

When an overlay goes, the kernel first writes the *whole* file system below it to the disk (ovl_sync_fs), and whoever waits
for the end of the container waits for that. A layer that is thrown away at the end has no need of it: ``volatile`` (Linux
5.10) leaves it out. The kernel notes so in the work directory and refuses the layer from then on; we know that no power cut
came between.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from minidock.libcontainer import userns
from minidock.libcontainer.config import IdMap, RootMount
from minidock.linux import mount, namespaces

_STAGE = "/tmp"


def open_root(
    root: RootMount, undo: ExitStack, uid_map: tuple[IdMap, ...] = (), gid_map: tuple[IdMap, ...] = ()
) -> tuple[int, list[str]]:
    """A detached mount of `root`, closed by `undo`, and warnings. With id maps the read-only layers are shown through them.

    Raises OSError with the layer's path.
    """
    if root.kind == "bind":
        tree = _own(mount.open_tree(root.source, recursive=True), undo)
        if uid_map:
            mount.mount_setattr(tree, mount.MOUNT_ATTR_IDMAP, userns=userns.open_maps(uid_map, gid_map, undo), recursive=True)
        return tree, []
    if not uid_map:
        return _own(overlay(root), undo), []
    return _mapped(root, undo, uid_map, gid_map)


def _mapped(root: RootMount, undo: ExitStack, uid_map: tuple[IdMap, ...], gid_map: tuple[IdMap, ...]) -> tuple[int, list[str]]:
    """An overlay on id-mapped layers. Some file systems refuse id maps, and some overlays only say so when written to (they
    turn read-only): then every layer is copied once with its owners shifted, which costs disk and time and always works."""
    maps = userns.open_maps(uid_map, gid_map, undo)
    tree = -1
    try:
        with ExitStack() as layers:
            trees = [_own(mount.open_tree(lower), layers) for lower in root.lower]
            for layer in trees:
                mount.mount_setattr(layer, mount.MOUNT_ATTR_IDMAP, userns=maps)
            tree = overlay(root, trees)
        if root.upper:
            _probe(tree)
        return _own(tree, undo), []
    except OSError as e:
        if tree >= 0:
            os.close(tree)
        if e.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.EROFS, errno.EOVERFLOW):
            raise
        reason = os.strerror(e.errno)
    copies = tuple(userns.shifted_copy(lower, uid_map, gid_map) for lower in root.lower)
    plain = RootMount("overlay", copies, root.upper, root.work, readonly=root.readonly, volatile=root.volatile)
    return _own(overlay(plain), undo), [f"id-mapped layers cannot be used here ({reason.lower()}): the layers were copied"]


def overlay(root: RootMount, trees: list[int] | None = None) -> int:
    """A detached overlay mount of `root`; its layers are taken from detached `trees` when given. The caller closes it.

    A single layer without an upper is no overlay to the kernel, and is bind-mounted.
    """
    if not root.upper and len(root.lower) == 1:
        return os.dup(trees[0]) if trees else mount.open_tree(root.lower[0])
    layers = [f"/proc/self/fd/{tree}" for tree in trees] if trees else list(root.lower)
    try:
        return _new_interface(layers, root)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.ENOSYS) or any(not os.path.isdir(lower) for lower in root.lower):
            raise
    with ExitStack() as undo:
        trees = trees or [_own(mount.open_tree(lower), undo) for lower in root.lower]
        return classic(trees, root)


def _new_interface(layers: list[str], root: RootMount) -> int:
    _forget_volatile(root)
    fs = mount.fsopen("overlay")
    try:
        mount.fsconfig_set_string(fs, "source", "overlay")  # the first column of `mount`
        for layer in layers:
            mount.fsconfig_set_string(fs, "lowerdir+", layer)
        if root.upper:
            mount.fsconfig_set_string(fs, "upperdir", root.upper)
            mount.fsconfig_set_string(fs, "workdir", root.work)
            if root.volatile:
                mount.fsconfig_set_flag(fs, "volatile")
        mount.fsconfig_create(fs)
        return mount.fsmount(fs)
    finally:
        os.close(fs)


def classic(trees: list[int], root: RootMount) -> int:
    """The same with mount(2), for kernels before 6.7 (see above)."""
    _forget_volatile(root)
    with ExitStack() as undo:
        attach = {str(n): tree for n, tree in enumerate(trees)}
        options = "lowerdir=" + ":".join(f"{_STAGE}/{name}" for name in attach)
        if root.upper:  # both must be on one mount
            writable = os.path.commonpath([root.upper, root.work])
            attach["w"] = _own(mount.open_tree(writable), undo)
            options += f",upperdir={_STAGE}/w/{os.path.relpath(root.upper, writable)}"
            options += f",workdir={_STAGE}/w/{os.path.relpath(root.work, writable)}"
            options += ",volatile" if root.volatile else ""
        with _private_mounts():
            mount.mount("tmpfs", _STAGE, "tmpfs", 0, "mode=700")
            stage = _own(os.open(_STAGE, os.O_PATH | os.O_CLOEXEC), undo)
            for name, tree in attach.items():
                os.mkdir(name, 0o700, dir_fd=stage)
                mount.move_mount(tree, stage, name)
            os.mkdir("root", 0o700, dir_fd=stage)
            mount.mount("overlay", f"{_STAGE}/root", "overlay", 0, options)
            return mount.open_tree(f"{_STAGE}/root")


@contextmanager
def _private_mounts() -> Iterator[None]:
    """Be in a mount namespace of our own, with nothing going in or out, for the time of a ``with``."""
    with ExitStack() as undo:
        ours = _own(os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), undo)
        here = _own(os.open(".", os.O_PATH | os.O_CLOEXEC), undo)
        undo.callback(os.fchdir, here)  # setns puts us at the namespace's root
        namespaces.unshare(namespaces.CLONE_NEWNS)
        undo.callback(namespaces.setns, ours, namespaces.CLONE_NEWNS)
        mount.mount("", "/", "", mount.MS_PRIVATE | mount.MS_REC)
        yield


def _forget_volatile(root: RootMount) -> None:
    """Take away the mark of an earlier volatile mount (Documentation/filesystems/overlayfs.rst, "Volatile mount")."""
    if root.volatile:
        mark = f"{root.work}/work/incompat/volatile"
        with suppress(FileNotFoundError):
            os.unlink(f"{mark}/dirty")
        with suppress(FileNotFoundError):
            os.rmdir(mark)


def _probe(tree: int) -> None:
    """Write to the overlay once: EROFS or EOVERFLOW when it cannot keep the owners."""
    name = ".minidock-probe"
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=tree))
    os.unlink(name, dir_fd=tree)


def _own(fd: int, undo: ExitStack) -> int:
    undo.callback(os.close, fd)
    return fd

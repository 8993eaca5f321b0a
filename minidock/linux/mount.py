"""Mounting, in both generations of the interface.

The **classic** one, mount(2), does everything in one call of five arguments, by path. The **new** one (Linux 5.2-5.12)
takes it apart, and each part is a descriptor::

    fsopen("overlay") → fsconfig(key, value)… → fsconfig(CREATE) → fsmount() ─┐
                                                                              ├→ mount_setattr() → move_mount(onto)
    open_tree(path, CLONE): a bind mount that is not attached anywhere yet  ──┘

Between making and attaching, a mount is *detached*: it hangs on its descriptor, no mount table shows it, and closing the
descriptor unmounts it. That is why a container's root never appears in the host's mount table and never leaks, and why a
bind mount is never writable for an instant before it becomes read-only.
"""

from __future__ import annotations

import ctypes
import os

from minidock.linux.libc import syscall
from minidock.linux.trace import traced

# mount(2): include/uapi/linux/mount.h
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_MANDLOCK = 64
MS_DIRSYNC = 128
MS_NOATIME = 1 << 10
MS_NODIRATIME = 1 << 11
MS_BIND = 1 << 12
MS_REC = 1 << 14
MS_SILENT = 1 << 15
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24
MS_LAZYTIME = 1 << 25

# umount2(2)
MNT_DETACH = 2

# mount_setattr(2)
MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_ATIME = 0x70  # the field: relatime is 0
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x00100000

OPEN_TREE_CLONE = 1
AT_RECURSIVE = 0x8000
AT_EMPTY_PATH = 0x1000
AT_SYMLINK_NOFOLLOW = 0x100
AT_FDCWD = -100
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x04
_MOVE_MOUNT_T_EMPTY_PATH = 0x40
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6


class _MountAttr(ctypes.Structure):
    """``struct mount_attr`` of mount_setattr(2)."""

    _fields_ = tuple((name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd"))


@traced
def mount(source: str, target: str, fstype: str = "", flags: int = 0, data: str = "") -> None:
    """Mount by path (mount(2)); `data` is the file system's own options, at most a page (4096 bytes) of them."""
    syscall(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        fstype.encode() or None,
        flags,
        os.fsencode(data) or None,
        path=target,
    )


@traced
def umount(target: str, flags: int = 0) -> None:
    """Unmount; MNT_DETACH takes it out of sight now and cleans up when nobody uses it any more (umount2(2))."""
    syscall("umount2", os.fsencode(target), flags, path=target)


@traced
def pivot_root(new_root: str, put_old: str) -> None:
    """Make the mount at `new_root` the root of our mount namespace, and mount the old root at `put_old` (pivot_root(2)).

    With ``pivot_root(".", ".")`` both are the same place, the old one on top, ready for ``umount(".", MNT_DETACH)``.
    """
    syscall("pivot_root", os.fsencode(new_root), os.fsencode(put_old), path=new_root)


@traced
def fsopen(fstype: str) -> int:
    """Begin a new instance of a file system (fsopen(2)). ENODEV: this kernel does not have it."""
    return syscall("fsopen", fstype.encode(), _FSOPEN_CLOEXEC, path=fstype)


@traced
def fsconfig_set_string(fsfd: int, key: str, value: str) -> None:
    """Give the instance an option with a value of at most 255 bytes (fsconfig(2)). EINVAL: unknown or refused."""
    syscall("fsconfig", fsfd, _FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0, path=value)


@traced
def fsconfig_set_flag(fsfd: int, key: str) -> None:
    """Give the instance an option without a value, such as ``ro`` (fsconfig(2))."""
    syscall("fsconfig", fsfd, _FSCONFIG_SET_FLAG, key.encode(), None, 0, path=key)


@traced
def fsconfig_create(fsfd: int) -> None:
    """Make the file system instance from the options given so far (fsconfig(2), FSCONFIG_CMD_CREATE)."""
    syscall("fsconfig", fsfd, _FSCONFIG_CMD_CREATE, None, None, 0)


@traced
def fsmount(fsfd: int, attributes: int = 0) -> int:
    """A detached mount of the instance, as a descriptor (fsmount(2)); attributes are MOUNT_ATTR_*."""
    return syscall("fsmount", fsfd, _FSMOUNT_CLOEXEC, attributes)


@traced
def open_tree(path: str, *, dirfd: int = AT_FDCWD, recursive: bool = False) -> int:
    """A detached bind mount of what `path` names (of `dirfd` itself if it is ""), with what is mounted below if `recursive`.

    open_tree(2) with OPEN_TREE_CLONE. EINVAL: the mount is unbindable, or not in our mount namespace.
    """
    flags = OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (AT_RECURSIVE if recursive else 0) | (0 if path else AT_EMPTY_PATH)
    return syscall("open_tree", dirfd, os.fsencode(path), flags, path=path)


@traced
def move_mount(tree: int, target: int, name: str = "") -> None:
    """Attach the detached mount `tree` (move_mount(2)) on the file or directory that the descriptor `target` is open on, or on
    `name` in the directory `target`; a link there is not followed."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | (0 if name else _MOVE_MOUNT_T_EMPTY_PATH)
    syscall("move_mount", tree, b"", target, os.fsencode(name), flags, path=name)


@traced
def mount_setattr(
    fd: int, set: int = 0, clear: int = 0, *, propagation: int = 0, userns: int = 0, recursive: bool = False
) -> None:
    """Change the mount that `fd` is the root of (mount_setattr(2), Linux 5.12), atomically also for the whole tree.

    set and clear are MOUNT_ATTR_*; propagation one of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE; `userns` a user
    namespace's descriptor for MOUNT_ATTR_IDMAP. EINVAL: the file system cannot be id-mapped, or `fd` is no mount's root.
    """
    attributes = _MountAttr(set, clear, propagation, userns)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall("mount_setattr", fd, b"", flags, attributes, ctypes.sizeof(attributes))

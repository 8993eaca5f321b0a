"""A layer's tree, mounted for the engine's own use without any mount table showing it.

The mount is detached (see linux/mount.py): it hangs on a descriptor, and the way in is ``/proc/<pid>/fd/<n>``, a link that the
kernel follows straight to the mount's root. When the descriptor is closed, or its owner killed, the mount is gone. ::

    fsopen("overlay") · lowerdir+ … · upperdir · workdir · create → fsmount()       Linux 6.5 and later
    mount(2) on a scratch directory → open_tree(CLONE) → umount2(MNT_DETACH)        before: Debian 12's 6.1

Layers are named by ``/proc/self/fd/<n>`` too: short enough for 128 of them in the one page that mount(2) takes, and for
fsconfig(2)'s 255 bytes, however long the state directory's path is.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from minidock.graphdriver.scratch import Scratch
from minidock.libcontainer.config import RootMount
from minidock.linux import mount

# A directory's rename stays a copy and a changed mode copies the file whole, whatever this kernel's defaults are: an upper
# directory then means the same on every machine, and its tar is complete.
PLAIN = (("redirect_dir", "off"), ("metacopy", "off"), ("index", "off"))


@contextmanager
def detached(root: RootMount, scratch: Scratch) -> Iterator[Path]:
    """Mount `root` for the time of a ``with``; yields the way in. Raises OSError."""
    with ExitStack() as stack:
        if root.kind == "bind":
            fd = mount.open_tree(root.source)
            stack.callback(os.close, fd)
            if root.readonly:
                mount.mount_setattr(fd, mount.MOUNT_ATTR_RDONLY)
        else:
            fd = _overlay(root, scratch)
            stack.callback(os.close, fd)
        yield Path(f"/proc/{os.getpid()}/fd/{fd}")


def _overlay(root: RootMount, scratch: Scratch) -> int:
    with ExitStack() as stack:
        lower = [_named(stack, path) for path in root.lower]
        writable = [] if root.readonly else [("upperdir", _named(stack, root.upper)), ("workdir", _named(stack, root.work))]
        try:
            return _by_parts(lower, writable)
        except OSError as e:
            if e.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
        return _by_path(lower, writable, scratch)


def _named(stack: ExitStack, path: str) -> str:
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return f"/proc/self/fd/{fd}"


def _by_parts(lower: list[str], writable: list[tuple[str, str]]) -> int:
    fs = mount.fsopen("overlay")
    try:
        for path in lower:
            mount.fsconfig_set_string(fs, "lowerdir+", path)
        for key, value in (*writable, *PLAIN):
            mount.fsconfig_set_string(fs, key, value)
        if not writable:
            mount.fsconfig_set_flag(fs, "ro")
        mount.fsconfig_create(fs)
        return mount.fsmount(fs, 0 if writable else mount.MOUNT_ATTR_RDONLY)
    finally:
        os.close(fs)


def _by_path(lower: list[str], writable: list[tuple[str, str]], scratch: Scratch) -> int:
    options = ",".join(f"{key}={value}" for key, value in (("lowerdir", ":".join(lower)), *writable, *PLAIN))
    with scratch.directory("mount") as target:
        mount.mount("overlay", os.fspath(target), "overlay", 0 if writable else mount.MS_RDONLY, options)
        try:
            return mount.open_tree(os.fspath(target))
        finally:
            mount.umount(os.fspath(target), mount.MNT_DETACH)

"""The nodes and links of a container's own /dev, as one operation of `rootfs.plan` (see `operations`)."""

from __future__ import annotations

import os
import posixpath
import stat

from minidock.libcontainer.config import Device
from minidock.libcontainer.operations import Operation, Root, detached
from minidock.linux import mount


class MakeDevices(Operation):
    """Device nodes and links in an own /dev. In a user namespace, where mknod(2) is never allowed, the host's are bound."""

    step = "make devices"
    devices: tuple[Device, ...]
    links: tuple[tuple[str, str], ...]

    def apply(self, root: Root) -> None:
        with detached(root.open(self.path)) as dev:
            for device in self.devices:
                if root.user_namespace:
                    _bind_device(device, root)
                else:
                    _make_device(device, dev, root)
            for name, to in self.links:
                try:
                    os.symlink(to, name, dir_fd=dev)
                except FileExistsError:  # a device or mount of the same name was asked for
                    continue

    def __str__(self) -> str:
        nodes = [f"mknod -m {d.mode:o} .{d.path} {d.kind} {d.major} {d.minor}" for d in self.devices]
        return "\n".join([*nodes, *(f"ln -s {to} .{self.path}/{name}" for name, to in self.links)])


def _make_device(device: Device, dev: int, root: Root) -> None:
    kind = {"c": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}[device.kind]
    parent, name = posixpath.split(device.path)
    directory = dev if parent == "/dev" else root.open(parent, "dir")
    try:
        os.mknod(name, kind | device.mode, os.makedev(device.major, device.minor), dir_fd=directory)
        if device.uid or device.gid:
            os.chown(name, device.uid, device.gid, dir_fd=directory, follow_symlinks=False)
    finally:
        if directory != dev:
            os.close(directory)


def _bind_device(device: Device, root: Root) -> None:
    with detached(mount.open_tree(device.host_path or device.path)) as tree:
        with detached(root.open(device.path, "file")) as target:
            mount.move_mount(tree, target)

"""Device nodes of the host for a container: ``--device``, ``--device-cgroup-rule``, and all of them when privileged."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from minidock.execdriver.config import Device, DeviceRule

if TYPE_CHECKING:
    from minidock.daemon.request.wire import HostConfig

# In /dev and no device of the machine (runc libcontainer/devices, GetDevices).
_SKIPPED = frozenset(("pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console"))


def asked(host_config: HostConfig) -> tuple[tuple[Device, ...], tuple[DeviceRule, ...]]:
    """(nodes, rules) that the host configuration adds to the defaults. Raises OSError if a device has gone."""
    if host_config.get("Privileged"):
        return tuple(nodes("/dev", "/dev")), ()
    found: list[Device] = []
    rules: list[DeviceRule] = []
    for entry in host_config.get("Devices") or ():
        path, access = entry["PathOnHost"], entry.get("CgroupPermissions") or "rwm"
        for device in nodes(path, entry.get("PathInContainer") or path):
            found.append(device)
            rules.append(DeviceRule(True, device.kind, device.major, device.minor, access))
    return tuple(found), (*rules, *map(_rule, host_config.get("DeviceCgroupRules") or ()))


def nodes(host_path: str, path: str) -> Iterator[Device]:
    """The device at `host_path`, or all devices below it, as they are to appear at `path`."""
    status = os.stat(host_path)
    if stat.S_ISDIR(status.st_mode):
        for entry in sorted(os.scandir(host_path), key=lambda e: e.name):
            if entry.name not in _SKIPPED and not entry.is_symlink():
                yield from nodes(entry.path, f"{path}/{entry.name}")
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        kind = "c" if stat.S_ISCHR(status.st_mode) else "b"
        major, minor, mode = os.major(status.st_rdev), os.minor(status.st_rdev), stat.S_IMODE(status.st_mode)
        yield Device(path, kind, major, minor, mode, status.st_uid, status.st_gid, host_path)


def _rule(text: str) -> DeviceRule:
    """``c 10:200 rwm``, ``*`` for any number."""
    kind, numbers, access = text.split()
    major, minor = (-1 if number == "*" else int(number) for number in numbers.split(":"))
    return DeviceRule(True, kind, major, minor, access)

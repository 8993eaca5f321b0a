"""The archive format of an initramfs: cpio "newc", written.

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. An archive is a row of members, each padded
to four bytes::

    "070701" + 13 fields of 8 hexadecimal digits | name \\0 | padding | data | padding
"""

from __future__ import annotations

import stat

_TRAILER = "TRAILER!!!"


class Archive:
    """An initramfs in the making. Everything in it belongs to root; folders have to be added before what is in them."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def folder(self, name: str) -> None:
        """A directory that all may read."""
        self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, data: bytes, *, executable: bool = False) -> None:
        """A regular file."""
        self._add(name, stat.S_IFREG | (0o755 if executable else 0o644), data)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def node(self, name: str, major: int, minor: int) -> None:
        """A character device: the kernel wants /dev/console before anybody could make it."""
        self._add(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def data(self) -> bytes:
        """The archive, ended."""
        self._add(_TRAILER, 0)
        return b"".join(self._parts)

    def _add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        encoded = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        # inode, mode, uid, gid, links, mtime, size, device (major, minor), rdev (major, minor), length of the name, checksum
        fields = (self._inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(encoded), 0)
        header = b"070701" + b"".join(b"%08x" % field for field in fields)
        self._parts += [_padded(header + encoded), _padded(data)]


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)

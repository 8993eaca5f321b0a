"""mount(8)'s option words, as the numbers of both mount interfaces."""

from __future__ import annotations

from typing import NamedTuple

from minidock.linux import mount as m

# word → (flags of mount(2) to set, to clear)
_FLAGS: dict[str, tuple[int, int]] = {
    "ro": (m.MS_RDONLY, 0),
    "rw": (0, m.MS_RDONLY),
    "suid": (0, m.MS_NOSUID),
    "nosuid": (m.MS_NOSUID, 0),
    "dev": (0, m.MS_NODEV),
    "nodev": (m.MS_NODEV, 0),
    "exec": (0, m.MS_NOEXEC),
    "noexec": (m.MS_NOEXEC, 0),
    "sync": (m.MS_SYNCHRONOUS, 0),
    "async": (0, m.MS_SYNCHRONOUS),
    "dirsync": (m.MS_DIRSYNC, 0),
    "mand": (m.MS_MANDLOCK, 0),
    "nomand": (0, m.MS_MANDLOCK),
    "atime": (0, m.MS_NOATIME),
    "noatime": (m.MS_NOATIME, 0),
    "diratime": (0, m.MS_NODIRATIME),
    "nodiratime": (m.MS_NODIRATIME, 0),
    "relatime": (m.MS_RELATIME, 0),
    "norelatime": (0, m.MS_RELATIME),
    "strictatime": (m.MS_STRICTATIME, 0),
    "nostrictatime": (0, m.MS_STRICTATIME),
    "lazytime": (m.MS_LAZYTIME, 0),
    "bind": (0, 0),
    "rbind": (m.MS_REC, 0),
    "defaults": (0, 0),
}
# What mount_setattr(2) calls the flags that belong to a mount and not to a file system.
_ATTRIBUTES = {
    m.MS_RDONLY: m.MOUNT_ATTR_RDONLY,
    m.MS_NOSUID: m.MOUNT_ATTR_NOSUID,
    m.MS_NODEV: m.MOUNT_ATTR_NODEV,
    m.MS_NOEXEC: m.MOUNT_ATTR_NOEXEC,
    m.MS_NODIRATIME: m.MOUNT_ATTR_NODIRATIME,
}
_ATIME = {m.MS_NOATIME: m.MOUNT_ATTR_NOATIME, m.MS_STRICTATIME: m.MOUNT_ATTR_STRICTATIME, m.MS_RELATIME: 0}
ATTRIBUTE_WORDS = {
    "ro": m.MOUNT_ATTR_RDONLY,
    "nosuid": m.MOUNT_ATTR_NOSUID,
    "nodev": m.MOUNT_ATTR_NODEV,
    "noexec": m.MOUNT_ATTR_NOEXEC,
}
PROPAGATION = {
    "": 0,
    "private": m.MS_PRIVATE,
    "rprivate": m.MS_PRIVATE | m.MS_REC,
    "slave": m.MS_SLAVE,
    "rslave": m.MS_SLAVE | m.MS_REC,
    "shared": m.MS_SHARED,
    "rshared": m.MS_SHARED | m.MS_REC,
    "unbindable": m.MS_UNBINDABLE,
    "runbindable": m.MS_UNBINDABLE | m.MS_REC,
}


class MountOptions(NamedTuple):
    """Parsed options: `flags` for mount(2), MOUNT_ATTR_* to `set` and `clear`, the file system's own `data`."""

    flags: int
    set: int
    clear: int
    data: str

    @property
    def recursive(self) -> bool:
        """``rbind``: with everything mounted below."""
        return bool(self.flags & m.MS_REC)


def parse(options: tuple[str, ...]) -> MountOptions:
    """``("ro", "nosuid", "size=64m")`` → MountOptions. A word that is no flag is the file system's; the last of two wins."""
    on = off = attributes = clear = 0
    data = []
    for word in options:
        if word not in _FLAGS:
            data.append(word)
            continue
        set_flags, clear_flags = _FLAGS[word]
        on, off = (on | set_flags) & ~clear_flags, (off | clear_flags) & ~set_flags
    for flag, attribute in _ATTRIBUTES.items():
        attributes |= attribute if on & flag else 0
        clear |= attribute if off & flag else 0
    for flag, attribute in _ATIME.items():
        if on & flag:
            attributes |= attribute
            clear |= m.MOUNT_ATTR_ATIME  # the field must be cleared whole before a new value is set
    return MountOptions(on, attributes, clear, ",".join(data))

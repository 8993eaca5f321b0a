from __future__ import annotations

from minidock.libcontainer.options import parse
from minidock.linux import mount as m


def test_flags_attributes_and_data() -> None:
    parsed = parse(("ro", "nosuid", "size=64m", "mode=1777", "rbind"))
    assert parsed.flags == m.MS_RDONLY | m.MS_NOSUID | m.MS_REC
    assert parsed.set == m.MOUNT_ATTR_RDONLY | m.MOUNT_ATTR_NOSUID
    assert parsed.data == "size=64m,mode=1777"
    assert parsed.recursive


def test_the_last_word_wins() -> None:
    assert parse(("ro", "rw")).flags == 0
    assert parse(("ro", "rw")).clear == m.MOUNT_ATTR_RDONLY
    assert parse(("rw", "ro")).set == m.MOUNT_ATTR_RDONLY
    assert parse(("noatime",)).clear & m.MOUNT_ATTR_ATIME == m.MOUNT_ATTR_ATIME


def test_each_word_is_the_kernels_flag_and_attribute() -> None:
    """include/uapi/linux/mount.h, written out: (MS_*, MOUNT_ATTR_* to set, to clear)."""
    words = {
        "ro": (1, 1, 0), "nosuid": (2, 2, 0), "nodev": (4, 4, 0), "noexec": (8, 8, 0), "sync": (16, 0, 0),
        "dirsync": (128, 0, 0), "noatime": (1 << 10, 0x10, 0x70), "nodiratime": (1 << 11, 0x80, 0),
        "relatime": (1 << 21, 0, 0x70), "strictatime": (1 << 24, 0x20, 0x70), "lazytime": (1 << 25, 0, 0),
        "rw": (0, 0, 1), "suid": (0, 0, 2), "dev": (0, 0, 4), "exec": (0, 0, 8), "rbind": (1 << 14, 0, 0), "bind": (0, 0, 0),
    }  # fmt: skip
    assert {word: parse((word,))[:3] for word in words} == words

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

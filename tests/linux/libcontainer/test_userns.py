"""User namespaces: root inside is nobody outside, and the image's files still look like root's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from minidock.libcontainer import userns
from minidock.libcontainer.config import IdMap, Namespaces
from tests.linux.libcontainer.box import Box, namespaces_of
from tests.linux.libcontainer.children import in_child

MAP = (IdMap(0, 100_000, 65_536),)
OWN = {"uid_map": MAP, "gid_map": MAP}


@pytest.fixture
def mapped(box: Box) -> Box:
    os.chown(box.upper, 100_000, 100_000)
    return box


def test_root_inside_is_nobody_outside(mapped: Box) -> None:
    new = Namespaces(user="new", cgroup="new")
    with mapped.started(mapped.config("sleep", "60", namespaces=new, **OWN)) as (container, _):
        status = dict(line.split(":", 1) for line in Path(f"/proc/{container.pid}/status").read_text().splitlines())
        assert status["Uid"].split() == ["100000"] * 4
        assert status["Groups"].split() == ["100000", "100010"]  # its own, and wheel, of which root is a member; none of ours
        assert namespaces_of(container.pid)["user"] != namespaces_of("self")["user"]


def test_files_of_the_image_are_roots_and_what_is_made_belongs_to_the_map(mapped: Box) -> None:
    script = """
        stat -c %u:%g /bin/busybox /etc
        touch /made; stat -c %u /made
        echo x >> /etc/passwd
        cat /proc/self/uid_map
        echo y > /dev/stdout"""
    out = mapped.sh(script, namespaces=Namespaces(user="new"), **OWN)
    assert out.split() == ["0:0", "0:0", "0", "0", "100000", "65536", "y"]
    assert (mapped.upper / "made").stat().st_uid == 100_000
    assert (mapped.upper / "etc/passwd").stat().st_uid == 100_000
    assert (mapped.image / "etc/passwd").stat().st_uid == 0


def test_devices_are_binds_of_the_hosts(mapped: Box) -> None:
    out = mapped.sh(
        "echo x > /dev/null; stat -c %t:%T /dev/null; stat -c %u /dev/null", namespaces=Namespaces(user="new"), **OWN
    )
    assert out.split() == ["1:3", "65534"]  # the host's root is nobody that this namespace knows


@pytest.mark.parametrize("shared", [{"net": "host"}, {"cgroup": "new"}, {"time": "new"}, {"uts": "host"}])
def test_with_other_namespaces(mapped: Box, shared: dict[str, str]) -> None:
    namespaces = Namespaces(user="new", **shared)
    output = in_child(lambda: mapped.sh("id -u; ls -d /sys/class /proc/self/ns", namespaces=namespaces, **OWN))
    assert output.startswith("0\n")


def test_exec_and_joining_go_into_the_same_user_namespace(mapped: Box) -> None:
    config = mapped.config("sleep", "62", namespaces=Namespaces(user="new"), **OWN)
    with mapped.started(config) as (container, _):
        theirs = namespaces_of(container.pid)
        code, output = mapped.exec(config, container, "sh", "-c", "id -u; readlink /proc/self/ns/user; echo >/dev/stdout")
        assert (code, output.split()) == (0, ["0", theirs["user"]])
        join = Namespaces(**{k: f"/proc/{container.pid}/ns/{k}" for k in ("user", "pid", "net", "ipc")})
        script = "id -u; readlink /proc/self/ns/user; readlink /proc/self/ns/net; ps"
        output = mapped.sh(script, namespaces=join, root=mapped.bind(), **OWN)
        assert output.split()[:3] == ["0", theirs["user"], theirs["net"]]
        assert "sleep 62" in output


def test_a_shifted_copy_keeps_everything_but_the_owner(tmp_path: Path) -> None:
    layer = tmp_path / "diff"
    (layer / "d").mkdir(parents=True)
    (layer / "d/f").write_text("text")
    (layer / "d/f").chmod(0o4755)
    os.link(layer / "d/f", layer / "hard")
    os.symlink("d/f", layer / "soft")
    os.mknod(layer / "gone", stat.S_IFCHR, 0)
    os.setxattr(layer / "d", "trusted.overlay.opaque", b"y")
    os.chown(layer / "soft", 7, 8, follow_symlinks=False)
    copy = Path(userns.shifted_copy(str(layer), MAP, MAP))
    assert copy.name == "diff-mapped-100000-100000"
    assert (copy / "d/f").read_text() == "text"
    assert stat.S_IMODE((copy / "d/f").stat().st_mode) == 0o4755
    assert (copy / "hard").stat().st_ino == (copy / "d/f").stat().st_ino
    assert ((copy / "soft").lstat().st_uid, (copy / "soft").lstat().st_gid) == (100_007, 100_008)
    assert stat.S_ISCHR((copy / "gone").lstat().st_mode)
    assert os.getxattr(copy / "d", "trusted.overlay.opaque") == b"y"
    inode = copy.stat().st_ino
    assert Path(userns.shifted_copy(str(layer), MAP, MAP)).stat().st_ino == inode  # made once
    assert sorted(p.name for p in tmp_path.iterdir()) == ["diff", "diff-mapped-100000-100000"]

"""Both generations of the mount interface, in mount namespaces of their own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidock.linux import mount as m
from minidock.linux import namespaces as ns
from tests.linux.libcontainer.children import in_child


def _table() -> str:
    return Path("/proc/self/mounts").read_text()


def _privately(function: Callable[[], Any]) -> Any:
    def run() -> Any:
        ns.unshare(ns.CLONE_NEWNS)
        m.mount("", "/", "", m.MS_PRIVATE | m.MS_REC)
        return function()

    return in_child(run)


def test_classic_mount_umount_and_options(tmp_path: Path) -> None:
    def body() -> list[Any]:
        m.mount("tmpfs", str(tmp_path), "tmpfs", m.MS_NOEXEC, "size=1m")
        line = next(line for line in _table().splitlines() if str(tmp_path) in line)
        m.umount(str(tmp_path), m.MNT_DETACH)
        return ["noexec" in line, "size=1024k" in line, str(tmp_path) in _table()]

    assert _privately(body) == [True, True, False]


def test_a_detached_mount_is_in_no_table_until_attached(tmp_path: Path) -> None:
    def body() -> list[bool]:
        fs = m.fsopen("tmpfs")
        m.fsconfig_set_string(fs, "size", "1m")
        m.fsconfig_set_flag(fs, "ro")
        m.fsconfig_create(fs)
        tree = m.fsmount(fs, m.MOUNT_ATTR_NODEV)
        unseen = str(tmp_path) not in _table()
        m.move_mount(tree, os.open(tmp_path, os.O_PATH))
        line = next(line for line in _table().splitlines() if str(tmp_path) in line)
        return [unseen, "nodev" in line, "size=1024k" in line]

    assert _privately(body) == [True, True, True]


def test_attributes_of_a_whole_tree(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)

    def body() -> list[int]:
        m.mount("tmpfs", str(tmp_path / "a/b"), "tmpfs")
        errors = []
        for recursive in (False, True):
            tree = m.open_tree(str(tmp_path / "a"), recursive=True)
            m.mount_setattr(tree, m.MOUNT_ATTR_RDONLY, propagation=m.MS_PRIVATE, recursive=recursive)
            try:
                os.close(os.open("b/file", os.O_CREAT | os.O_WRONLY, dir_fd=tree))
                errors.append(0)
            except OSError as e:
                errors.append(e.errno or 0)
            os.close(tree)
        return errors

    assert _privately(body) == [0, errno.EROFS]


def test_pivot_root_leaves_nothing_of_the_old(tmp_path: Path) -> None:
    def body() -> list[Any]:
        m.mount("tmpfs", str(tmp_path), "tmpfs")
        os.mkdir(tmp_path / "only")
        os.chdir(tmp_path)
        m.pivot_root(".", ".")
        m.umount(".", m.MNT_DETACH)
        os.chdir("/")
        return [os.listdir("/"), os.listdir("/..")]

    assert _privately(body) == [["only"], ["only"]]


def test_errors_keep_errno_and_path(tmp_path: Path) -> None:
    try:
        m.mount("x", str(tmp_path / "none"), "tmpfs")
    except OSError as e:
        assert (e.errno, e.filename) == (errno.ENOENT, str(tmp_path / "none"))
    else:
        raise AssertionError("mounted on nothing")

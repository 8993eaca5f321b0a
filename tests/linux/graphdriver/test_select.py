"""Which driver a state directory gets, and the older way of mounting that kernels before 6.5 need."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from minidock.errors import NotSupported
from minidock.graphdriver import detached
from minidock.graphdriver.overlay import Overlay
from minidock.graphdriver.scratch import Scratch
from minidock.graphdriver.select import driver


@pytest.fixture(autouse=True)
def tidy(tmp_path: Path) -> object:
    yield
    Scratch.of(tmp_path / "tmp").close()


def test_overlay_where_it_works(tmp_path: Path) -> None:
    assert driver(tmp_path).name == "overlay"
    assert os.listdir(tmp_path / "overlay") == []  # the trial leaves nothing


def test_the_one_with_layers_is_kept(tmp_path: Path) -> None:
    driver(tmp_path, "vfs").create("one", None)
    assert driver(tmp_path).name == "vfs"
    assert driver(tmp_path, "overlay2").name == "overlay"  # asking wins


def test_an_unknown_driver(tmp_path: Path) -> None:
    with pytest.raises(NotSupported, match="driver not supported: devicemapper"):
        driver(tmp_path, "devicemapper")


def refuse(*args: object) -> int:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_without_lowerdir_plus_the_classic_mount_does_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "_by_parts", refuse)
    made, parent = Overlay(tmp_path / "overlay"), None
    for n in range(125):
        (made.create(f"layer{n}", parent) / f"file{n}").touch()
        parent = f"layer{n}"
    made.create("container", parent)
    with made.mounted("container", readonly=False) as root:
        assert len(os.listdir(root)) == 125
        (root / "new").touch()
    with made.mounted("container") as root, pytest.raises(OSError, match="Read-only"):
        (root / "another").touch()
    assert os.listdir(made.scratch.path) == []


def test_where_overlay_cannot_be_vfs_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "_overlay", refuse)
    assert driver(tmp_path).name == "vfs"
    with pytest.raises(NotSupported, match="driver not supported: overlay"):
        driver(tmp_path, "overlay")

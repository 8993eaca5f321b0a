"""The base images: made of this machine's files, always the same, runnable, and quick to find unchanged."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from minidock.errors import NotSupported
from minidock.graph import hostfiles
from minidock.graph.bootstrap import bootstrap
from minidock.graph.store import ImageStore
from minidock.graphdriver.overlay import Overlay
from minidock.graphdriver.scratch import Scratch
from minidock.linkgraph import LinkGraph


def chroot(store: ImageStore, ref: str, *command: str) -> str:
    layer = store.top_layer(store.get(ref))
    assert layer is not None
    with store.driver.mounted(layer) as root:
        return subprocess.run(
            ["/usr/sbin/chroot", root, *command], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
        ).stdout


def opened(root: Path) -> ImageStore:
    root.mkdir()
    return ImageStore(root, Overlay(root / "overlay"), LinkGraph(root / "linkgraph.db"))


def test_both_images(tmp_path: Path) -> None:
    """What every chapter starts from: both base images, with the tools that the chapters call."""
    store, lines = opened(tmp_path / "root"), list[str]()
    bootstrap(store, lines.append)
    assert [line.split(": ")[0] for line in lines] == ["busybox:latest", "lab:latest"]
    assert chroot(store, "busybox", "sh", "-c", "id -un; stat -c %a /tmp; ls /bin | wc -l").split()[:2] == ["root", "1777"]
    assert store.get("busybox").config["config"]["Cmd"] == ["sh"]
    for tool in ("stress", "stress-ng", "iperf3", "fio", "ip"):
        option = "-V" if tool == "ip" else "--version"
        assert chroot(store, "lab", f"/usr/bin/{tool}", option)
    modules = "import ssl, sqlite3, json, ctypes, lzma, bz2, zlib, readline, curses, asyncio; print(6 * 7)"
    assert chroot(store, "lab", "python3", "-c", modules) == "42\n"

    again = list[str]()
    bootstrap(store, again.append)
    assert again == ["busybox:latest: up to date", "lab:latest: up to date"]

    other = opened(tmp_path / "other")
    bootstrap(other)
    assert [image.id for image in other.images()] == [image.id for image in store.images()]
    for one in (store, other):
        one.links.close()
        one.scratch.close()


def test_a_lost_or_renamed_image_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minidock.graph.bootstrap.lab", lambda progress: hostfiles.Tree())  # busybox is enough here
    store, lines = opened(tmp_path / "root"), list[str]()
    bootstrap(store)
    image = store.get("busybox")
    store.delete(image.id)
    bootstrap(store, lines.append)
    assert "up to date" not in lines[0]
    assert store.get("busybox").id == image.id
    store.links.close()
    store.scratch.close()


def test_a_changed_source_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    state = [hostfiles.state_of(str(file)), hostfiles.state_of(str(tmp_path))]
    assert hostfiles.unchanged(state)
    os.utime(file, ns=(1, 1))
    assert not hostfiles.unchanged(state)
    file.unlink()
    assert not hostfiles.unchanged(state)


def test_without_busybox_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostfiles, "SEARCH", str(tmp_path))
    store = opened(tmp_path / "root")
    with pytest.raises(NotSupported, match="busybox-static"):
        bootstrap(store)
    assert store.images() == []
    store.links.close()
    Scratch.of(tmp_path / "root/tmp").close()

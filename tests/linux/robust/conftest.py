"""One instance for each file of this folder: what one test leaves behind is the next one's difference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minidock.daemon import open_engine
from minidock.daemon.containers import create, rm, start
from minidock.daemon.engine import Engine
from minidock.daemon.system.teardown import teardown
from minidock.graph import bootstrap
from tests.linux.daemon.conftest import install_busybox


@pytest.fixture(scope="session")
def busybox_tar() -> bytes:
    """The base image's files, collected once."""
    tar = bootstrap.busybox(lambda _line: None).tar()
    return b"".join(iter(lambda: tar.read(1 << 16), b""))


@contextmanager
def instance(folder: Path, tar: bytes) -> Iterator[Path]:
    """The state root of an instance with busybox. Zygote, bridge and parent cgroup are there: they stay, and are no leak."""
    root = folder / "root"
    try:
        with open_engine(root) as engine:
            install_busybox(engine, tar)
            for mode in ("none", "bridge"):
                id = str(create.create(engine, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": mode})["Id"])
                start.start(engine, id)
                rm.rm(engine, id, force=True)
        yield root
    finally:
        teardown(root)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, busybox_tar: bytes) -> Iterator[Path]:
    """The file's instance."""
    with instance(tmp_path_factory.mktemp("robust"), busybox_tar) as root:
        yield root


@pytest.fixture
def own_root(tmp_path: Path, busybox_tar: bytes) -> Iterator[Path]:
    """An instance for one test alone: one that makes new zygotes."""
    with instance(tmp_path, busybox_tar) as root:
        yield root


@pytest.fixture
def engine(root: Path) -> Iterator[Engine]:
    """An engine on the file's instance."""
    with open_engine(root) as engine:
        yield engine

"""An engine with an instance of its own and busybox in it, and short words for what most tests do."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock.daemon import open_engine
from minidock.daemon.containers import create, rm, start
from minidock.daemon.engine import Engine
from minidock.daemon.system.teardown import teardown
from minidock.graph import bootstrap
from minidock.graph.import_ import import_

Make = Callable[..., str]


@pytest.fixture(scope="session")
def busybox_tar() -> bytes:
    """The base image's files, collected once."""
    tar = bootstrap.busybox(lambda _line: None).tar()
    return b"".join(iter(lambda: tar.read(1 << 16), b""))


def install_busybox(engine: Engine, tar: bytes) -> None:
    """The base image, as ``minidock bootstrap`` makes it."""
    config = {"Cmd": ["sh"], "Env": [f"PATH={bootstrap.PATH}"]}
    import_(engine.images, io.BytesIO(tar), "busybox", config=config)


@pytest.fixture
def box(tmp_path: Path, busybox_tar: bytes) -> Iterator[Engine]:
    """An engine; everything of its instance is gone afterwards."""
    root = tmp_path / "root"
    try:
        with open_engine(root) as engine:
            install_busybox(engine, busybox_tar)
            yield engine
    finally:
        teardown(root)


@pytest.fixture
def made(box: Engine) -> Make:
    """``made("sh", "-c", "…", host={…}, name=…, **config)``: a created container's id; network none unless said otherwise."""

    def make(*command: str, host: dict[str, Any] | None = None, name: str | None = None, **config: Any) -> str:
        host_config = {"NetworkMode": "none", **(host or {})}
        request = {"Image": "busybox", "Cmd": list(command), **config}
        return str(create.create(box, request, host_config, name)["Id"])

    return make


@pytest.fixture
def started(box: Engine, made: Make) -> Make:
    """`made`, and started."""

    def begin(*command: str, **options: Any) -> str:
        id = made(*command, **options)
        start.start(box, id)
        return id

    return begin


def remove_all(engine: Engine) -> None:
    """Every container of the instance."""
    for folder in engine.paths.containers.iterdir():
        rm.rm(engine, folder.name, force=True, volumes=True)

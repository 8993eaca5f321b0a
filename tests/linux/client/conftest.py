"""A client with an instance of its own and the base image busybox in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

import minidock
from minidock.daemon.system.teardown import teardown
from minidock.graph import bootstrap
from minidock.graph.import_ import import_


@pytest.fixture(scope="session")
def busybox_tar() -> bytes:
    """The base image's files, collected once."""
    tar = bootstrap.busybox(lambda _line: None).tar()
    return b"".join(iter(lambda: tar.read(1 << 16), b""))


@pytest.fixture
def client(tmp_path: Path, busybox_tar: bytes) -> Iterator[minidock.DockerClient]:
    root = tmp_path / "root"
    try:
        with minidock.from_env(root) as client:
            config = {"Cmd": ["sh"], "Env": [f"PATH={bootstrap.PATH}"]}
            import_(client.api.engine.images, io.BytesIO(busybox_tar), "busybox", config=config)
            yield client
    finally:
        teardown(root)

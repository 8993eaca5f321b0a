"""A client with an instance of its own and the base image busybox in it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import minidock
from minidock.graph import bootstrap
from minidock.graph.import_ import import_


@pytest.fixture(scope="session")
def busybox_tar() -> bytes:
    """The base image's files, collected once."""
    return bootstrap.busybox(lambda _line: None).tar().read()


@pytest.fixture
def client(tmp_path: Path, busybox_tar: bytes) -> Iterator[minidock.DockerClient]:
    with minidock.from_env(tmp_path / "root") as client:
        environment = [f"PATH={bootstrap.PATH}"]
        import_(client.api.engine.images, io.BytesIO(busybox_tar), "busybox", config={"Cmd": ["sh"], "Env": environment})
        yield client
        for container in client.containers.list(all=True):
            container.remove(force=True, v=True)
        engine = client.api.engine
        engine.execdriver.stop_zygote()  # type: ignore[attr-defined]
        engine.execdriver.remove_cgroup()  # type: ignore[attr-defined]
    shutil.rmtree(engine.paths.run)

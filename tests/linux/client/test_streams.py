"""Verbs that answer with a stream fail in the middle of it as other verbs do: one SystemFault, and the right thing blamed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from minidock import DockerClient
from minidock.cli import export
from minidock.cli.context import Context, Globals
from minidock.cli.grammar.command import UsageError
from minidock.errors import SystemFault
from minidock.linux.trace import FaultPlan


@pytest.fixture
def context(client: DockerClient) -> Context:
    """What the command gets, over the client's engine."""
    context = Context("export", Globals())
    context.__dict__["api"] = client.api
    return context


@pytest.fixture
def container(client: DockerClient) -> str:
    return str(client.containers.create("busybox", network_mode="none").id)


def test_export_tells_whose_fault_it_was(client: DockerClient, context: Context, container: str, tmp_path: Path) -> None:
    target = tmp_path / "out.tar"
    words = export.COMMAND.parse("export", ["-o", str(target), container])
    with client.api.engine.trace() as steps:
        export.do(context, words)
    target.unlink()
    assert steps
    for number in range(1, len(steps) + 1):
        with client.api.engine.trace(FaultPlan("engine", number)), pytest.raises(SystemFault) as caught:
            export.do(context, words)
        assert caught.value.errno == errno.EIO and str(target) not in str(caught.value)
    assert os.listdir(tmp_path) == ["root"], "no half of a tar"
    refused = export.COMMAND.parse("export", ["-o", "/proc/none/out.tar", container])
    with pytest.raises(UsageError, match=r"failed to export container: open /proc/none/out.tar: no such file"):
        export.do(context, refused)


def test_load_fails_with_the_step(client: DockerClient) -> None:
    class Broken:
        def read(self, _size: int = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(SystemFault, match=r"^load: input/output error"):
        list(client.api.load_image(Broken()))  # type: ignore[arg-type]


def test_a_log_that_breaks_while_it_is_read(client: DockerClient) -> None:
    container = client.containers.create("busybox", ["echo", "hello"], network_mode="none")
    container.start()
    container.wait()
    container.reload()
    log = Path(container.attrs["LogPath"])
    log.unlink()
    log.mkdir()
    with pytest.raises(SystemFault, match=r"^logs .*: is a directory"):
        container.logs()

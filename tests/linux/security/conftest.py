"""One instance with the image lab, and a dockerd with the same files as an image: what the probe runs in."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock.daemon import open_engine
from minidock.daemon.containers import create, export, rm, run
from minidock.daemon.system.teardown import teardown
from minidock.graph import bootstrap
from tests import peers

PROBE = Path(__file__).with_name("probe.py")
KINDS = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time")
Answers = dict[str, Any]


def namespaces(pid: int | str) -> str:
    """The namespace ids of a process, as the probe takes them."""
    return json.dumps({kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in KINDS})


def command(engine: int | str) -> list[str]:
    """The probe's argv; `engine` is the process whose namespaces are the host's."""
    return ["python3", "-c", PROBE.read_text(), namespaces(engine)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An instance with the base images; its zygote is there from here on."""
    root = tmp_path_factory.mktemp("security") / "root"
    try:
        with open_engine(root) as engine:
            bootstrap.bootstrap(engine.images, lambda _line: None)
            run.run(engine, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none", "AutoRemove": True})
        yield root
    finally:
        teardown(root)


@pytest.fixture(scope="module")
def ours(root: Path) -> Callable[..., Answers]:
    """``ours(**HostConfig)``: the probe's answers from a container of ours."""

    def probe(**host_config: Any) -> Answers:
        host = {"NetworkMode": "none", "AutoRemove": True, **host_config}
        with open_engine(root) as engine:
            result = run.run(engine, {"Image": "lab", "Cmd": command("self")}, host)
        assert result.exit_code == 0, result.stderr
        return dict(json.loads(result.output))

    return probe


@pytest.fixture(scope="module")
def dockerd(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[peers.Dockerd]:
    """A private dockerd that has our lab and busybox, exported and imported."""
    with peers.dockerd(tmp_path_factory.mktemp("d")) as docker:
        for image in ("lab", "busybox"):
            importing = subprocess.Popen(
                ["docker", "-H", docker.host, "import", "-c", "CMD [\"sh\"]", "-", image],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            with open_engine(root) as engine, importing:
                assert importing.stdin
                id = create.create(engine, {"Image": image, "Cmd": ["true"]}, {"NetworkMode": "none"})["Id"]
                for piece in export.export(engine, id):
                    importing.stdin.write(piece)
                importing.stdin.close()
                rm.rm(engine, id)
            assert importing.returncode == 0
        yield docker


@pytest.fixture(scope="module")
def theirs(dockerd: peers.Dockerd) -> Answers:
    """The probe's answers from a container of dockerd's, all options left at their defaults."""
    result = dockerd("run", "--rm", "--net=none", "lab", *command(dockerd.pid), check=False)
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout))

"""Values that no command line can hold, through the Python API: an error of ours in one line, and nothing is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import minidock
from minidock.client.models.containers import Container
from minidock.errors import InvalidParameter, MinidockError

HUGE = "x" * (10 << 20)
OPTIONS: list[dict[str, Any]] = [
    {"command": ["a\0b"]},
    {"entrypoint": ["\0"]},
    {"environment": {"A": "\0"}},
    {"name": "a\0b"},
    {"name": "a\nb"},
    {"working_dir": "/a\0"},
    {"working_dir": "/" + "a" * 5000},
    {"user": "a\0"},
    {"user": HUGE},
    {"hostname": "a\nb"},
    {"domainname": "a\0"},
    {"group_add": ["a\0"]},
    {"volumes": ["/tmp/a\0:/x"]},
    {"volumes": ["/tmp:/x\0"]},
    {"tmpfs": {"/a\0": ""}},
    {"tmpfs": {"/a": "size=1\0"}},
    {"devices": ["/dev/nu\0ll"]},
    {"sysctls": {"net.a\0": "1"}},
    {"sysctls": {"net.ipv4.ip_forward": "\0"}},
    {"dns": ["\0"]},
    {"security_opt": ["apparmor=a\0"]},
    {"cap_add": ["x\0"]},
    {"environment": {"A": HUGE}},
    {"command": ["echo", HUGE]},
    {"command": ["true", *["x" * 100_000] * 100]},
    {"command": ["\ud800"]},
    {"environment": {"A": "\ud800"}},
    {"image": "a\0"},
    {"image": "\ud800"},
    {"log_config": {"Type": "json-file", "Config": {"max-file": "²"}}},
    {"mem_limit": -5},
]


def made(client: minidock.DockerClient) -> set[Path]:
    """Folders of containers and layers, whole or not."""
    paths = client.api.engine.paths
    return {entry for folder in (paths.containers, paths.root / "overlay") for entry in folder.iterdir()}


@pytest.fixture
def client(root: Path) -> Iterator[minidock.DockerClient]:
    with minidock.from_env(root) as client:
        yield client


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ascii(options)[:40])
def test_create(client: minidock.DockerClient, options: dict[str, Any]) -> None:
    """A value that makes no sense is refused in a sentence, and nothing is made."""
    before = made(client)
    with pytest.raises(InvalidParameter) as caught:
        client.containers.create(**{"image": "busybox", "command": "true", "network_mode": "none", **options})
    assert 0 < len(caught.value.explanation) < 1000
    assert made(client) == before


def test_what_is_odd_and_no_mistake(client: minidock.DockerClient) -> None:
    """The control: bytes that are no text, labels of any kind, long names and many arguments arrive."""
    odd = {"labels": {"a\n": "\0" * 1000}, "name": "a" * 3000, "environment": {"A": "\udcff" * 60_000}}
    output = client.containers.run(
        "busybox", ["sh", "-c", 'echo "$1${#A}"', "sh", "\udcfe"], network_mode="none", remove=True, **odd
    )
    assert output in (b"\xfe60000\n", b"\xfe60000 \n")


@pytest.fixture
def sleeper(client: minidock.DockerClient) -> Iterator[Container]:
    container = client.containers.run("busybox", ["sleep", "1000"], network_mode="none", detach=True)
    yield container
    container.remove(force=True)


@pytest.mark.parametrize(
    "act",
    [
        lambda c: c.exec_run(["a\0"]),
        lambda c: c.exec_run(["\ud800"]),
        lambda c: c.exec_run("true", environment={"A": "\0"}),
        lambda c: c.exec_run("true", environment={"A": HUGE}),
        lambda c: c.exec_run(["true", "x" * 200_000]),
        lambda c: c.exec_run("true", user="a\0"),
        lambda c: c.exec_run("true", user=HUGE),
        lambda c: c.exec_run("true", workdir="/\0"),
        lambda c: c.exec_run("true", workdir="/" + HUGE),
        lambda c: c.rename("a\0"),
        lambda c: c.rename("\ud800"),
        lambda c: c.kill("\0"),
        lambda c: c.top(ps_args="\0"),
        lambda c: c.wait(condition="x"),
        lambda c: c.resize(-1, 5),
        lambda c: c.resize(1 << 20, 5),
    ],
)
def test_a_running_container(sleeper: Container, act: Callable[[Container], object]) -> None:
    with pytest.raises(InvalidParameter):
        act(sleeper)
    assert sleeper.exec_run("true").exit_code == 0


@pytest.mark.parametrize("ref", ["a\0", "../..", "\ud800", "a" * 10_000, "%", "*", "\n"], ids=lambda ref: ascii(ref)[:10])
def test_names_of_nothing(client: minidock.DockerClient, ref: str) -> None:
    for get in (client.containers.get, client.images.get):
        with pytest.raises(MinidockError):
            get(ref)

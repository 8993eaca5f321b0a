"""A request is parsed once: what comes out is whole, and what went in is as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from minidock.daemon.request.parse import complete, parse
from minidock.errors import InvalidParameter

ASKED: dict[str, Any] = {
    "Image": "busybox", "Cmd": ["true"], "Env": {"A": "1"}, "Labels": ["seen"], "Volumes": ["/data"], "Hostname": None,
    "Unknown": {"kept": True},
}  # fmt: skip
HOST: dict[str, Any] = {
    "Memory": 64 << 20, "MemorySwappiness": -1, "KernelMemory": 64 << 20, "NetworkMode": "", "LogConfig": {"Type": ""},
    "RestartPolicy": {"Name": "on-failure"}, "Tmpfs": {"/run": "size=1m"}, "Binds": ["/:/host:ro"],
}  # fmt: skip
IMAGE: dict[str, Any] = {
    "Env": ["PATH=/bin", "A=0"], "Entrypoint": ["sh", "-c"], "Cmd": ["sh"], "Labels": {"by": "us"}, "Volumes": {"/var": {}},
    "Healthcheck": {"Test": ["CMD", "true"]}, "StopSignal": "SIGINT",
}  # fmt: skip


def test_what_comes_out() -> None:
    request = parse(ASKED, HOST, IMAGE, remapped=False)
    assert request.config == {
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False,
        "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": ["A=1", "PATH=/bin"], "Cmd": ["true"],
        "Image": "busybox", "Volumes": {"/var": {}, "/data": {}}, "WorkingDir": "", "Entrypoint": ["sh", "-c"],
        "OnBuild": None, "Labels": {"by": "us", "seen": ""}, "Unknown": {"kept": True}, "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD", "true"]},
    }  # fmt: skip
    assert request.host_config == {
        "Memory": 64 << 20, "MemorySwap": 128 << 20, "MemorySwappiness": None, "KernelMemory": 0, "NetworkMode": "default",
        "LogConfig": {"Type": "json-file", "Config": {}}, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 0},
        "Tmpfs": {"/run": "size=1m"}, "Binds": ["/:/host:ro"], "ShmSize": 64 << 20, "IpcMode": "private",
    }  # fmt: skip
    assert [(point.kind, point.destination, point.rw) for point in request.mounts] == [
        ("volume", "/data", True), ("bind", "/host", False), ("tmpfs", "/run", True), ("volume", "/var", True),
    ]  # fmt: skip
    assert [words.partition(" ")[0] for words in request.warnings] == ["Specifying", "Your"]


def test_what_went_in_stays_as_it_was() -> None:
    """It may be a constant of the caller's; the image's is kept by the store."""
    given = (ASKED, HOST, IMAGE)
    before = copy.deepcopy(given)
    parse(*given, remapped=False)
    assert given == before


def test_a_value_of_the_wrong_type_comes_before_all_else() -> None:
    with pytest.raises(InvalidParameter, match=r"json: cannot unmarshal string into .* HostConfig.HostConfig.Memory"):
        parse({"Image": "busybox"}, {"Memory": "much"}, {}, remapped=False)
    with pytest.raises(InvalidParameter, match="No command specified"):
        parse({"Image": "busybox"}, {"Memory": 1}, {}, remapped=False)


def test_memory_with_swap_stops_at_what_a_number_can_hold() -> None:
    assert complete({"Memory": 1 << 62})["MemorySwap"] == (1 << 63) - 1
    assert complete({"Memory": 1 << 30, "MemorySwap": -1})["MemorySwap"] == -1

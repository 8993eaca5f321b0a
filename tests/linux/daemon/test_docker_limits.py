"""Against the real thing: dockerd 20.10 gets the same wrong values, and says the same."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from minidock import errors
from minidock.daemon.containers import create, inspect, update
from minidock.daemon.engine import Engine
from tests.peers import dockerd
from tests.unit.daemon.test_limits import WRONG

MB = 1 << 20


class Peer:
    """The Engine API of a dockerd, without a client that would judge before it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def post(self, url: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and decoded answer."""
        return self._ask("POST", url, json.dumps(body))

    def get(self, url: str) -> tuple[int, dict[str, Any]]:
        return self._ask("GET", url, None)

    def _ask(self, method: str, url: str, body: str | None) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.connect(self._path)
        try:
            connection.request(method, f"/v1.41{url}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data else {}
        finally:
            connection.close()

    def create(self, host: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        config = {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "none", **host}}
        return self.post("/containers/create", config)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory, busybox_tar: bytes) -> Iterator[Peer]:
    folder = tmp_path_factory.mktemp("peer")
    with dockerd(folder) as docker:
        docker("import", "-", "busybox", stdin=busybox_tar)
        docker("run", "--rm", "--net=none", "busybox", "true")  # its cgroup parent is made at the first start
        yield Peer(docker.host.removeprefix("unix://"))


# What dockerd leaves to its runtime, or to the kernel, or forgives: refused here before anything is made.
LATER: list[tuple[dict[str, Any], str]] = [
    ({"CpuShares": -1}, "shares: invalid argument"),
    ({"CpuShares": 1}, "the minimum allowed cpu-shares is 2"),
    ({"CpuShares": 262145}, "the maximum allowed cpu-shares is 262144"),
    ({"BlkioDeviceReadBps": [{"Path": "/dev/nope", "Rate": 1}]}, "stat /dev/nope: no such file or directory"),
    ({"BlkioDeviceReadBps": [{"Rate": 1}]}, "stat : no such file or directory"),
    ({"DeviceCgroupRules": ["x"]}, "invalid device cgroup rule format: 'x'"),
]
# dockerd looks for the weights of cfq, which Linux has no more, and discards what it would refuse; a quota below 1 ms, a
# negative reservation and a memory+swap of -2 it hands on.
FORGIVEN = ("Range of blkio weight", "Minimum memory reservation", "Range of CPUs is from 0.01", "invalid weight for device")


def said(answer: tuple[int, dict[str, Any]]) -> str:
    return str(answer[1].get("message", answer))


def test_the_same_words_for_the_same_mistakes(peer: Peer) -> None:
    found = {json.dumps(host): (said(peer.create(host)), words) for host, words in WRONG}
    different = {host: words for host, words in found.items() if words[0] != words[1]}
    assert len(found) - len(different) >= 40
    at_start = {json.dumps(host) for host, _ in LATER}
    for host, (theirs, ours) in different.items():
        wanted = json.loads(host)
        excused = ours.startswith(FORGIVEN) or wanted.get("MemorySwap") == -2 or "/dev/" in host or host in at_start
        assert excused, (host, theirs, ours)
        assert theirs.startswith("(201,"), (host, theirs)


@pytest.mark.parametrize(("host", "words"), LATER)
def test_what_docker_says_at_the_start(peer: Peer, box: Engine, host: dict[str, Any], words: str) -> None:
    made = peer.create(host)[1]["Id"]
    assert words in said(peer.post(f"/containers/{made}/start", {}))
    with pytest.raises(errors.InvalidParameter) as caught:
        create.create(box, {"Image": "busybox", "Cmd": ["true"]}, dict(host))
    assert caught.value.explanation == words


def test_hostconfig_is_shown_alike(peer: Peer, box: Engine) -> None:
    for host in (
        {"Memory": 64 * MB},
        {"Memory": 64 * MB, "MemorySwap": -1, "MemorySwappiness": 7, "CpuShares": 512, "CpusetCpus": "0", "PidsLimit": 5},
        {"NanoCpus": 500_000_000, "OomScoreAdj": 500, "OomKillDisable": True, "CgroupParent": "/some", "PidsLimit": 0},
        {"MemorySwappiness": -1, "CpuQuota": -1, "MemoryReservation": 32 * MB, "DeviceCgroupRules": ["c 1:3 r"]},
    ):
        made = peer.create(host)[1]
        theirs = peer.get(f"/containers/{made['Id']}/json")[1]["HostConfig"]
        mine = create.create(box, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none", **host})
        ours = inspect.inspect(box, mine["Id"])["HostConfig"]
        assert mine["Warnings"] == made["Warnings"]
        assert set(theirs) <= set(ours)
        for key in theirs.keys() - {"Runtime", "MaskedPaths", "ReadonlyPaths", "RestartPolicy", "CgroupnsMode"}:
            assert (ours[key] or None) == (theirs[key] or None), key


CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"Memory": 64 * MB}),
    ({"Memory": 64 * MB}, {"Memory": 129 * MB}),
    ({"NanoCpus": 10**9}, {"CpuQuota": 5000}),
    ({"NanoCpus": 10**9}, {"CpuPeriod": 5000}),
    ({"CpuQuota": 5000}, {"NanoCpus": 10**9}),
    ({"CpuPeriod": 5000}, {"NanoCpus": 10**9}),
    ({"AutoRemove": True}, {"RestartPolicy": {"Name": "always"}}),
    ({}, {"Memory": 1}),
    ({}, {"Memory": "64m"}),
    ({}, {"CpusetCpus": "99"}),
    ({}, {"RestartPolicy": {"Name": "sometimes"}}),
    ({}, {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 2}}),
]


@pytest.mark.parametrize(("host", "changes"), CHANGES)
def test_update_refuses_in_the_same_words(
    peer: Peer, box: Engine, host: dict[str, Any], changes: dict[str, Any]
) -> None:  # fmt: skip
    theirs = peer.create(host)[1]["Id"]
    status, answer = peer.post(f"/containers/{theirs}/update", changes)
    assert status >= 400
    ours = create.create(box, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none", **host})["Id"]
    with pytest.raises(errors.APIError) as caught:
        update.update(box, ours, changes)
    assert caught.value.explanation == answer["message"].replace(theirs, ours)
    assert caught.value.status_code == status or status == 500  # its decoder's errors have no status of their own

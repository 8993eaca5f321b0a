"""docker-py's keywords of update_container become the JSON that docker-py itself would post."""

from __future__ import annotations

from typing import Any

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minidock
from minidock.client import updates
from minidock.errors import InvalidArgument


class Posted(docker.APIClient):
    """docker-py's client, which tells what it would have sent."""

    def __init__(self) -> None:
        super().__init__(base_url="tcp://127.0.0.1:1", version="1.41")

    def _post_json(self, url: str, data: Any, **_: Any) -> Any:
        return data

    def _result(self, response: Any, *_: Any, **__: Any) -> Any:
        return response


SIZES = st.one_of(st.none(), st.integers(0, 1 << 40), st.sampled_from(["", "64m", "1g", "5kb"]))
NUMBERS = st.one_of(st.none(), st.integers(0, 5000))
FORMS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("blkio_weight", "cpu_period", "cpu_quota", "cpu_shares"), NUMBERS),
    **dict.fromkeys(("mem_limit", "mem_reservation", "memswap_limit", "kernel_memory"), SIZES),
    **dict.fromkeys(("cpuset_cpus", "cpuset_mems"), st.sampled_from([None, "", "0", "0-1"])),
    "restart_policy": st.sampled_from([None, {}, {"Name": "always"}, {"Name": "on-failure", "MaximumRetryCount": 3}]),
}


@given(st.fixed_dictionaries({}, optional=FORMS))
def test_the_same_as_docker_py(changes: dict[str, Any]) -> None:
    with Posted() as theirs:
        assert updates.body(changes) == theirs.update_container("x", **changes)


def test_all_of_docker_pys_keywords_were_tried() -> None:
    assert set(FORMS) == set(updates.DOCKER_PY)


def test_what_docker_py_has_not() -> None:
    assert updates.body({"nano_cpus": 10**9, "pids_limit": 0, "mem_swappiness": 0, "oom_kill_disable": False}) == {
        "NanoCpus": 10**9, "PidsLimit": 0, "MemorySwappiness": 0, "OomKillDisable": False,
    }  # fmt: skip
    rate = [{"Path": "/dev/sda", "Rate": 5}]
    assert updates.body({"device_read_bps": rate, "pids_limit": None}) == {"BlkioDeviceReadBps": rate}


def test_mistakes() -> None:
    """A wrong option of `update` or `stats` is told before anything is sent."""
    client = object.__new__(minidock.APIClient)
    with pytest.raises(TypeError, match="unexpected keyword argument 'privileged'"):
        client.update_container("x", privileged=True)
    with pytest.raises(InvalidArgument, match="units"):
        client.update_container("x", mem_limit="5zz")
    with pytest.raises(InvalidArgument, match="stream=False"):
        client.stats("x", one_shot=True)
    with pytest.raises(InvalidArgument, match="stream=True"):
        client.stats("x", decode=True, stream=False)

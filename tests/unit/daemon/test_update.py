"""What an update makes of a HostConfig: what stays, what changes, and what does not go together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minidock.daemon.containers import update
from minidock.daemon.record.container import Container
from minidock.errors import APIError, Conflict

MB = 1 << 20


def container(**host: Any) -> Container:
    record = {"HostConfig": {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, **host}}
    return Container(None, "c0ffee", record, Path("/nowhere"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("had", "asked", "has"),
    [
        ({"CpuShares": 5}, {"CpuShares": 6}, {"CpuShares": 6}),
        ({"CpuShares": 5, "CpusetCpus": "0"}, {"CpuShares": 0, "CpusetCpus": ""}, {"CpuShares": 5, "CpusetCpus": "0"}),
        ({"PidsLimit": 5}, {"PidsLimit": 0}, {"PidsLimit": 0}),
        ({"MemorySwappiness": 5}, {"MemorySwappiness": 0}, {"MemorySwappiness": 0}),
        ({"Memory": 64 * MB, "MemorySwap": 128 * MB}, {"Memory": 128 * MB}, {"Memory": 128 * MB, "MemorySwap": 128 * MB}),
        ({"Memory": 64 * MB, "MemorySwap": -1}, {"Memory": 256 * MB}, {"Memory": 256 * MB, "MemorySwap": -1}),
        ({"Memory": 64 * MB, "MemorySwap": 128 * MB}, {"MemorySwap": -1}, {"Memory": 64 * MB, "MemorySwap": -1}),
        ({"Memory": 64 * MB, "MemorySwap": 128 * MB}, {"Memory": 256 * MB, "MemorySwap": 256 * MB},
         {"Memory": 256 * MB, "MemorySwap": 256 * MB}),
        ({"BlkioDeviceReadBps": [{"Path": "/dev/a", "Rate": 1}, {"Path": "/dev/b", "Rate": 1}]},
         {"BlkioDeviceReadBps": [{"Path": "/dev/b", "Rate": 0}, {"Path": "/dev/c", "Rate": 2}]},
         {"BlkioDeviceReadBps": [{"Path": "/dev/a", "Rate": 1}, {"Path": "/dev/b", "Rate": 0}, {"Path": "/dev/c", "Rate": 2}]}),
        ({"NanoCpus": 5 * 10**8}, {"NanoCpus": 10**9}, {"NanoCpus": 10**9}),
        ({}, {"RestartPolicy": {"Name": "always"}}, {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}),
        ({}, {"RestartPolicy": {"Name": ""}}, {"RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}),
    ],
)  # fmt: skip
def test_merge(had: dict[str, Any], asked: dict[str, Any], has: dict[str, Any]) -> None:
    """`update` changes what it was asked to and nothing else."""
    old = container(**had)
    kept = dict(old.host_config)
    assert update.merge(old, asked) == kept | has
    assert old.host_config == kept, "the old one is not touched"


LARGER = "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"


@pytest.mark.parametrize(
    ("had", "asked", "words"),
    [
        ({"CpuPeriod": 5000}, {"NanoCpus": 10**9},
         "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set"),
        ({"CpuQuota": 5000}, {"NanoCpus": 10**9},
         "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set"),
        ({"NanoCpus": 10**9}, {"CpuPeriod": 5000},
         "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set"),
        ({"NanoCpus": 10**9}, {"CpuQuota": 5000},
         "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"),
        ({"Memory": 64 * MB, "MemorySwap": 128 * MB}, {"Memory": 129 * MB}, LARGER),
        ({}, {"Memory": 64 * MB}, LARGER),
        ({"AutoRemove": True}, {"RestartPolicy": {"Name": "always"}},
         "Restart policy cannot be updated because AutoRemove is enabled for the container"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(had: dict[str, Any], asked: dict[str, Any], words: str) -> None:
    with pytest.raises(Conflict) as caught:
        update.merge(container(**had), asked)
    assert caught.value.explanation == f"Cannot update container c0ffee: {words}"


@pytest.mark.parametrize(
    ("had", "asked"),
    [
        ({}, {"MemorySwap": 64 * MB}),
        ({"Memory": 64 * MB, "MemorySwap": 128 * MB}, {"MemorySwap": 32 * MB}),
        ({"Memory": 64 * MB, "MemorySwap": 128 * MB, "MemoryReservation": 32 * MB}, {"Memory": 16 * MB}),
        ({"Memory": 64 * MB, "MemorySwap": 128 * MB}, {"MemoryReservation": 65 * MB}),
    ],
)
def test_what_the_kernel_would_refuse(had: dict[str, Any], asked: dict[str, Any]) -> None:
    with pytest.raises(APIError):
        update.merge(container(**had), asked)

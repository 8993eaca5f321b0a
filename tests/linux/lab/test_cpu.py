"""What chapter 08 reads of the CPU, on containers: ratios of one window, and the staircase of a quota beside its control."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from minidock.lab import counters, cpu
from minidock.lab.experiment import BURN

pytestmark = [pytest.mark.root, pytest.mark.measuring]


def busy(client: Any, **limits: Any) -> counters.Group:
    """The cgroup of a busy container on the first core."""
    options = {"cpuset_cpus": str(cpu.cores()[0]), "network_mode": "none", **limits}
    return counters.group(client.containers.run("busybox", list(BURN), detach=True, **options))


@pytest.fixture
def client(client: Any) -> Any:
    """The engine's client; its containers go at the end."""
    yield client
    for container in client.containers.list(all=True):
        container.remove(force=True)


def test_ratio_and_parts_are_those_of_one_window(client: Any) -> None:
    left, right = busy(client, cpu_shares=2048), busy(client, cpu_shares=256)
    assert cpu.ratio(left, right, 0.5) > 2
    assert cpu.ratio(right, left, 0.5) < 0.5
    parts = cpu.parts([left, right], 0.5)
    assert sum(parts) == pytest.approx(1) and parts[0] > parts[1]


def test_a_quota_is_a_staircase(client: Any) -> None:
    stairs = cpu.staircase(busy(client, cpu_period=100_000, cpu_quota=20_000), 0.5)
    slope = cpu.staircase(busy(client), 0.5)
    for points in (stairs, slope):
        assert all(a[0] < b[0] and a[1] <= b[1] for a, b in itertools.pairwise(points)), "time and CPU time grow"
    assert flat(stairs) > 2 * flat(slope)


def flat(points: list[tuple[float, float]]) -> float:
    """The longest time (ms) in which the CPU time did not grow by more than 0.2 ms."""
    longest, since = 0.0, points[0]
    for at, used in points:
        if used - since[1] > 0.2:
            since = (at, used)
        longest = max(longest, at - since[0])
    return longest

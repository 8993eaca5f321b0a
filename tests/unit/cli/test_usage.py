"""docker's arithmetic of ``stats``, on samples of both cgroup versions."""

from __future__ import annotations

from typing import Any

import pytest

from minidock.cli.format import usage
from minidock.cli.stats import HEADERS

SECOND = 10**9


def sample(used: int, system: int, cpus: int = 2, **more: Any) -> dict[str, Any]:
    """A sample after `used` ns of CPU time, when the machine had had `system` ns."""
    cpu = {"cpu_usage": {"total_usage": used}, "system_cpu_usage": system, "online_cpus": cpus}
    return {"name": "/web", "id": "f" * 64, "cpu_stats": cpu, **more}


@pytest.mark.parametrize(
    ("used", "system", "cpus", "percent"),
    [
        (SECOND, 2 * SECOND, 2, 100.0),  # one of two CPUs, all the time
        (2 * SECOND, 2 * SECOND, 2, 200.0),
        (SECOND // 2, 8 * SECOND, 8, 50.0),
        (0, 2 * SECOND, 2, 0.0),
        (SECOND, 0, 2, 0.0),  # no window
        (-SECOND, 2 * SECOND, 2, 0.0),  # a restart: the new cgroup counts from zero
    ],
)
def test_cpu(used: int, system: int, cpus: int, percent: float) -> None:
    """The CPU column counts as docker's does: 100% is one core."""
    before = sample(5 * SECOND, 100 * SECOND, cpus)
    assert usage.cpu_percent(sample(5 * SECOND + used, 100 * SECOND + system, cpus), before) == percent


def test_cpu_without_the_number_of_cpus() -> None:
    after = sample(SECOND, 2 * SECOND, 0)
    after["cpu_stats"]["cpu_usage"]["percpu_usage"] = [0, 0]
    assert usage.cpu_percent(after, sample(0, 0)) == 100.0
    assert usage.cpu_percent({}, {}) == 0.0


@pytest.mark.parametrize(
    ("stat", "used"),
    [
        ({"total_inactive_file": 30, "inactive_file": 10}, 70),  # v1: the group with those below it
        ({"inactive_file": 10, "cache": 50}, 90),  # v2
        ({"cache": 50}, 100),  # what is in use of the cache counts
        ({"inactive_file": 200}, 100),  # the two counters were read one after the other
        ({}, 100),
    ],
)
def test_memory(stat: dict[str, int], used: int) -> None:
    """The memory column leaves out the page cache that can be given back."""
    assert usage.memory({"memory_stats": {"usage": 100, "limit": 400, "stats": stat}}) == (used, 400)


@pytest.mark.parametrize("words", [("Read", "Write", "Total"), ("read", "write", "discard")])
def test_block_io(words: tuple[str, str, str]) -> None:
    """Reads and writes of all disks, and nothing twice."""
    entries = [
        {"major": 8, "minor": m, "op": op, "value": v} for m in (0, 16) for op, v in zip(words, (3, 5, 100), strict=True)
    ]
    assert usage.block_io({"blkio_stats": {"io_service_bytes_recursive": entries}}) == (6, 10)
    assert usage.block_io({"blkio_stats": {"io_service_bytes_recursive": None}}) == (0, 0)


def test_a_row() -> None:
    """One line of `stats`, every column."""
    networks = {"eth0": {"rx_bytes": 1500, "tx_bytes": 10}, "eth1": {"rx_bytes": 500, "tx_bytes": 0}}
    memory = {"usage": 64 << 20, "limit": 1 << 30, "stats": {}}
    after = sample(SECOND, 4 * SECOND, memory_stats=memory, networks=networks, pids_stats={"current": 3})
    assert usage.row("web", after, sample(0, 0), truncate=True) == {
        "Container": "web",
        "Name": "web",
        "ID": "f" * 12,
        "CPUPerc": "50.00%",
        "MemUsage": "64MiB / 1GiB",
        "MemPerc": "6.25%",
        "NetIO": "2kB / 10B",
        "BlockIO": "0B / 0B",
        "PIDs": "3",
    }
    assert usage.row("web", after, None, truncate=False)["ID"] == "f" * 64


def test_a_row_without_figures() -> None:
    """docker shows zeros for a container that does not run, and dashes for one that has gone."""
    stopped = {"name": "/x", "id": "a" * 64, "cpu_stats": {}, "memory_stats": {}, "blkio_stats": {}, "pids_stats": {}}
    row = usage.row("x", stopped, stopped, truncate=True)
    assert (row["CPUPerc"], row["MemUsage"], row["MemPerc"], row["PIDs"]) == ("0.00%", "0B / 0B", "0.00%", "0")
    row = usage.row("x", stopped, stopped, truncate=True, gone=True)
    assert (row["Name"], row["CPUPerc"], row["MemUsage"], row["PIDs"]) == ("x", "--", "-- / --", "--")
    assert usage.row("x", None, None, truncate=True)["Name"] == "--"
    assert set(row) == set(HEADERS)

"""From the kernel's counters to the Engine API's shape of ``stats``."""

from __future__ import annotations

from typing import Any

from minidock.daemon.containers import stats
from minidock.libcontainer.cgroups.stats import BlkioCount, Stats

NET_DEV = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     840      10    0    0    0     0          0         0      840      10    0    0    0     0       0          0
  eth0:    1001       2    3    4    0     0          0         9     5006       7    8    9    0     0       0          0
eth1:7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0
"""
V1 = Stats(
    cpu_total_ns=900,
    cpu_user_ns=600,
    cpu_system_ns=300,
    percpu_ns=(500, 400),
    periods=10,
    throttled_periods=2,
    throttled_ns=77,
    memory_usage=100,
    memory_limit=200,
    memory_failcnt=1,
    memory_max_usage=150,
    memory_stat={"total_inactive_file": 5},
    pids_current=4,
    pids_limit=50,
    blkio=(BlkioCount(8, 0, "read", 4096, 1), BlkioCount(8, 0, "total", 4096, 1)),
    cpus_online=2,
)
V2 = Stats(cpu_total_ns=900, memory_usage=100, blkio=(BlkioCount(8, 0, "write", 512, 1),), cpus_online=2)


def test_network_counters() -> None:
    """The kernel's columns of /proc/net/dev are not mixed up."""
    found = stats.network_counters(NET_DEV)
    assert list(found) == ["eth0", "eth1"]
    assert found["eth0"] == {
        "rx_bytes": 1001, "rx_packets": 2, "rx_errors": 3, "rx_dropped": 4,
        "tx_bytes": 5006, "tx_packets": 7, "tx_errors": 8, "tx_dropped": 9,
    }  # fmt: skip
    assert (found["eth1"]["rx_bytes"], found["eth1"]["tx_bytes"]) == (7, 8)
    assert stats.network_counters("a\nb\n") == {}


def test_cpu() -> None:
    """CPU figures in the API's form, on both versions of control groups."""
    assert stats.cpu(V1, clock=1000) == {
        "cpu_usage": {"total_usage": 900, "usage_in_kernelmode": 300, "usage_in_usermode": 600, "percpu_usage": [500, 400]},
        "system_cpu_usage": 2000,
        "online_cpus": 2,
        "throttling_data": {"periods": 10, "throttled_periods": 2, "throttled_time": 77},
    }
    assert "percpu_usage" not in stats.cpu(V2, clock=1000)["cpu_usage"]


def test_memory_without_a_limit_is_limited_by_the_machine() -> None:
    assert stats.memory(V1, machine=1000) == {
        "usage": 100, "max_usage": 150, "limit": 200, "failcnt": 1, "stats": {"total_inactive_file": 5},
    }  # fmt: skip
    assert stats.memory(V1, machine=150)["limit"] == 150
    assert stats.memory(V2, machine=1000)["limit"] == 1000
    assert stats.machine_memory("MemTotal:        2048 kB\nMemFree: 1 kB\n") == 2 << 20


def test_pids() -> None:
    """Numbers of processes in the API's form; no limit is no field."""
    assert stats.pids(V1) == {"current": 4, "limit": 50}
    assert stats.pids(V2) == {"current": 0}


def test_block_io_has_the_operations_in_the_words_of_the_version() -> None:
    found = stats.block_io(V1)
    assert found["io_service_bytes_recursive"][0] == {"major": 8, "minor": 0, "op": "Read", "value": 4096}
    assert found["io_serviced_recursive"][0] == {"major": 8, "minor": 0, "op": "Read", "value": 1}
    assert found["io_queue_recursive"] is None and found["sectors_recursive"] is None
    assert stats.block_io(V2)["io_service_bytes_recursive"] == [{"major": 8, "minor": 0, "op": "write", "value": 512}]


def test_a_sample_takes_the_cpu_figures_of_the_one_before() -> None:
    first: dict[str, Any] = {"read": "t1", "cpu_stats": {"system_cpu_usage": 1}}
    second: dict[str, Any] = {"read": "t2", "cpu_stats": {"system_cpu_usage": 2}}
    answer = stats.joined(second, first)
    assert (answer["preread"], answer["read"]) == ("t1", "t2")
    assert (answer["precpu_stats"], answer["cpu_stats"]) == (first["cpu_stats"], second["cpu_stats"])
    alone = stats.joined(first, None)
    assert alone["preread"] == "0001-01-01T00:00:00Z"
    assert alone["precpu_stats"]["cpu_usage"]["total_usage"] == 0 and "system_cpu_usage" not in alone["precpu_stats"]


def test_all_streams_fall_due_at_the_same_moment() -> None:
    assert [stats.tick(clock) for clock in (10.0, 10.4, 10.6, 11.2)] == [11.0, 11.0, 12.0, 12.0]

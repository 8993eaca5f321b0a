"""One sample from the kernel's text files, v1 and v2."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidock.libcontainer.cgroups import stats
from minidock.libcontainer.cgroups.stats import BlkioCount, Stats

V1 = {
    "cpuacct": {"cpuacct.usage": "5000000123\n", "cpuacct.stat": "user 300\nsystem 200\n", "cpuacct.usage_percpu": "3 4 \n"},
    "cpu": {"cpu.stat": "nr_periods 40\nnr_throttled 20\nthrottled_time 1500000000\nnr_bursts 0\n"},
    "memory": {
        "memory.usage_in_bytes": "4194304\n",
        "memory.limit_in_bytes": "67108864\n",
        "memory.memsw.usage_in_bytes": "5242880\n",
        "memory.failcnt": "7\n",
        "memory.max_usage_in_bytes": "9000\n",
        "memory.stat": "cache 1048576\nrss 2097152\ntotal_inactive_file 524288\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    },
    "pids": {"pids.current": "3\n", "pids.max": "100\n"},
    "blkio": {
        "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\nTotal 12288\n",
        "blkio.throttle.io_serviced_recursive": "8:0 Read 1\n8:0 Write 2\n8:0 Total 3\nTotal 3\n",
    },
}
V2 = {
    "cgroup.procs": "",
    "cpu.stat": "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\n"
    "nr_periods 40\nnr_throttled 20\nthrottled_usec 1500000\n",
    "memory.current": "4194304\n",
    "memory.max": "67108864\n",
    "memory.swap.current": "1048576\n",
    "memory.stat": "anon 2097152\ninactive_file 524288\n",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n",
    "pids.current": "3\n",
    "pids.max": "100\n",
    "io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n253:0\n",
}


def v1_tree(root: Path, *controllers: str) -> dict[str, str]:
    for controller in controllers:
        (root / controller).mkdir()
        for name, text in V1[controller].items():
            (root / controller / name).write_text(text)
    return {controller: str(root / controller) for controller in controllers}


def test_v1(tmp_path: Path) -> None:
    """Every figure of v1 comes from the file that the kernel documents."""
    found = stats.sample_v1(v1_tree(tmp_path, *V1))
    assert found == Stats(
        cpu_total_ns=5_000_000_123,
        cpu_user_ns=3_000_000_000,
        cpu_system_ns=2_000_000_000,
        percpu_ns=(3, 4),
        periods=40,
        throttled_periods=20,
        throttled_ns=1_500_000_000,
        memory_usage=4 << 20,
        memory_limit=64 << 20,
        memory_swap_usage=5 << 20,
        memory_failcnt=7,
        memory_max_usage=9000,
        memory_stat={"cache": 1 << 20, "rss": 2 << 20, "total_inactive_file": 1 << 19},
        oom_kills=2,
        pids_current=3,
        pids_limit=100,
        blkio=(BlkioCount(8, 0, "read", 4096, 1), BlkioCount(8, 0, "write", 8192, 2), BlkioCount(8, 0, "total", 12288, 3)),
        cpus_online=found.cpus_online,
    )


def test_v2(tmp_path: Path) -> None:
    """Every figure of v2 comes from the file that the kernel documents."""
    for name, text in V2.items():
        (tmp_path / name).write_text(text)
    found = stats.sample_v2(str(tmp_path))
    assert found == Stats(
        cpu_total_ns=5_000_000_000,
        cpu_user_ns=3_000_000_000,
        cpu_system_ns=2_000_000_000,
        periods=40,
        throttled_periods=20,
        throttled_ns=1_500_000_000,
        memory_usage=4 << 20,
        memory_limit=64 << 20,
        memory_swap_usage=5 << 20,
        memory_failcnt=7,
        memory_stat={"anon": 2 << 20, "inactive_file": 1 << 19},
        oom_kills=2,
        pids_current=3,
        pids_limit=100,
        blkio=(
            BlkioCount(8, 0, "read", 4096, 1),
            BlkioCount(8, 0, "write", 8192, 2),
            BlkioCount(8, 0, "discard", 0, 0),
        ),
        cpus_online=found.cpus_online,
    )


def test_without_limits(tmp_path: Path) -> None:
    """The kernel's way to say "no limit" is understood."""
    paths = v1_tree(tmp_path, "memory", "pids")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "pids" / "pids.max").write_text("max\n")
    found = stats.sample_v1(paths)
    assert (found.memory_limit, found.pids_limit) == (-1, -1)


def test_controllers_that_are_missing_count_nothing(tmp_path: Path) -> None:
    """Without memory's swap files the sum is memory alone; without a controller its counters are 0 and there is no limit."""
    paths = v1_tree(tmp_path, "memory", "cpuacct")
    (tmp_path / "memory" / "memory.memsw.usage_in_bytes").unlink()
    found = stats.sample_v1(paths)
    assert found.memory_swap_usage == 4 << 20
    assert (found.pids_current, found.pids_limit, found.blkio, found.periods) == (0, -1, (), 0)
    assert found.cpu_total_ns > 0


def test_a_cgroup_that_is_gone_is_no_sample(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        stats.sample_v1({"memory": str(tmp_path / "gone")})
    with pytest.raises(FileNotFoundError):
        stats.sample_v2(str(tmp_path / "gone"))


def test_oom_kills_below_count_on_v1(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    for directory in (tmp_path, below):
        (directory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert stats.oom_kills_v1(str(tmp_path)) == 4
    assert stats.oom_kills_v1(str(tmp_path / "gone")) == stats.oom_kills_v1(None) == 0

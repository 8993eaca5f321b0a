"""Counters from the text of the kernel's files, v1 and v2 side by side: the same keys, the same units."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidock.lab import counters
from minidock.lab.counters import Group

# The same container, as the two versions tell it.
V1 = {
    "cpu/cpu.stat": "nr_periods 10\nnr_throttled 9\nthrottled_time 450000000\n",
    "cpu/cpu.shares": "500\n",
    "cpu/cpu.cfs_quota_us": "50000\n",
    "cpu/cpu.cfs_period_us": "100000\n",
    "cpuacct/cpuacct.usage": "2000000000\n",
    "cpuacct/cpuacct.usage_user": "1500000000\n",
    "cpuacct/cpuacct.usage_sys": "500000000\n",
    "cpuacct/cpuacct.usage_percpu": "1999000000 1000000 \n",
    "cpuset/cpuset.cpus": "0-1,3\n",
    "memory/memory.usage_in_bytes": "8192\n",
    "memory/memory.max_usage_in_bytes": "12288\n",
    "memory/memory.memsw.usage_in_bytes": "16384\n",
    "memory/memory.failcnt": "3\n",
    "memory/memory.memsw.failcnt": "1\n",
    "memory/memory.limit_in_bytes": "134217728\n",
    "memory/memory.memsw.limit_in_bytes": "268435456\n",
    "memory/memory.soft_limit_in_bytes": "9223372036854771712\n",
    "memory/memory.stat": "cache 1\ntotal_cache 4096\ntotal_rss 2048\ntotal_swap 8192\ntotal_dirty 5\ntotal_writeback 6\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "blkio/blkio.throttle.io_service_bytes": "8:0 Read 100\n8:0 Write 200\n8:0 Sync 300\n7:0 Write 5\nTotal 305\n",
    "blkio/blkio.throttle.io_serviced": "8:0 Read 1\n8:0 Write 2\n7:0 Write 1\nTotal 4\n",
    "blkio/blkio.throttle.read_bps_device": "",
    "blkio/blkio.throttle.write_bps_device": "8:0 1048576\n",
    "blkio/blkio.throttle.read_iops_device": "",
    "blkio/blkio.throttle.write_iops_device": "",
    "pids/pids.current": "4\n",
    "pids/pids.max": "max\n",
    "pids/cgroup.procs": "",
}
V2 = {
    "cpu.stat": "usage_usec 2000000\nuser_usec 1500000\nsystem_usec 500000\n"
    "nr_periods 10\nnr_throttled 9\nthrottled_usec 450000\n",
    "cpu.weight": "58\n",
    "cpu.max": "50000 100000\n",
    "cpuset.cpus": "\n",
    "cpuset.cpus.effective": "0-1,3\n",
    "memory.current": "8192\n",
    "memory.peak": "12288\n",
    "memory.swap.current": "8192\n",
    "memory.max": "134217728\n",
    "memory.swap.max": "134217728\n",
    "memory.low": "0\n",
    "memory.stat": "anon 2048\nfile 4096\nfile_dirty 5\nfile_writeback 6\n",
    "memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n",
    "memory.swap.events": "high 0\nmax 1\nfail 1\n",
    "io.stat": "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n7:0 rbytes=0 wbytes=5 rios=0 wios=1\n",
    "io.max": "8:0 rbps=max wbps=1048576 riops=max wiops=max\n",
    "pids.current": "4\n",
    "pids.max": "max\n",
    "cgroup.procs": "",
}


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def v1(tmp_path: Path) -> Group:
    folder = written(tmp_path / "v1", V1)
    return Group(1, {c: str(folder / c) for c in ("cpu", "cpuacct", "cpuset", "memory", "blkio", "pids")})


@pytest.fixture
def v2(tmp_path: Path) -> Group:
    return Group(2, {"": str(written(tmp_path / "v2", V2))})


def test_both_versions_tell_the_same(v1: Group, v2: Group) -> None:
    one, two = v1.read(), v2.read()
    assert one.pop("percpu_ns") == [1999000000, 1000000], "v2 has no such counter"
    for key in ("at_ns", "idle_ns"):  # of the machine
        del one[key], two[key]
    assert one == two
    assert one["cpu_ns"] == 2_000_000_000 and one["throttled_ns"] == 450_000_000
    assert one["memsw"] == 16384 and one["swap"] == 8192
    assert (one["write_bytes"], one["read_ios"]) == (205, 1), "all devices together, Sync and Total not counted again"


def test_what_the_kernel_holds(v1: Group, v2: Group) -> None:
    one, two = v1.held(), v2.held()
    assert (one.pop("weight"), two.pop("weight")) == (500, 58)
    assert (one.pop("reservation"), two.pop("reservation")) == (None, 0)
    assert one == two
    assert one["memsw_limit"] == 2 * one["memory_limit"]
    assert one["cpus"] == [0, 1, 3] and one["pids_limit"] is None
    assert one["throttle"] == {"8:0 wbps": 1048576}


def test_no_limit_is_none(v1: Group, v2: Group) -> None:
    written(Path(v1.directories["cpu"]), {"cpu.cfs_quota_us": "-1\n"})
    written(Path(v1.directories["memory"]), {"memory.limit_in_bytes": "9223372036854771712\n"})
    written(Path(v2.directories[""]), {"cpu.max": "max 100000\n", "memory.max": "max\n", "memory.swap.max": "max\n"})
    for held in (v1.held(), v2.held()):
        assert held["quota_us"] is None and held["period_us"] == 100_000 and held["memory_limit"] is None
    assert v2.held()["memsw_limit"] is None


def test_only_what_is_asked_for_is_read(v1: Group) -> None:
    assert set(v1.read("pids")) == {"at_ns", "pids"}
    assert "memory" not in v1.read("cpu")


def test_missing_files_leave_their_keys_out(v1: Group, v2: Group) -> None:
    Path(v1.directories["memory"], "memory.memsw.usage_in_bytes").unlink()
    Path(v2.directories[""], "memory.peak").unlink()
    assert "memsw" not in v1.read("memory")
    assert "memory_peak" not in v2.read("memory")


def test_a_controller_that_is_not_there_is_left_out(v1: Group) -> None:
    small = Group(1, {"pids": v1.directories["pids"]})
    assert set(small.read()) == {"at_ns", "pids", "app_read_bytes", "app_write_bytes"}
    assert small.held() == {"pids_limit": None}


def test_a_gone_cgroup_says_so(v1: Group) -> None:
    gone = Group(1, {c: f"{d}-gone" for c, d in v1.directories.items()})
    with pytest.raises(FileNotFoundError):
        gone.read("cpu")


def test_a_window_is_growth_and_levels() -> None:
    before = {"at_ns": 1_000_000_000, "cpu_ns": 10, "percpu_ns": [10, 0], "memory": 4096, "memory_peak": 8192}
    after = {"at_ns": 3_500_000_000, "cpu_ns": 40, "percpu_ns": [35, 5], "memory": 2048, "memory_peak": 9000}
    assert counters.difference(before, after) == {
        "seconds": 2.5, "cpu_ns": 30, "percpu_ns": [25, 5], "memory": 2048, "memory_peak": 9000,
    }  # fmt: skip


def test_cpu_lists() -> None:
    """The kernel's lists of cores (0-2,5)."""
    assert counters.cpu_list("0-2,5\n") == [0, 1, 2, 5]
    assert counters.cpu_list("") == []


def test_cgroups_are_found_by_id_for_every_engine(tmp_path: Path) -> None:
    for place in ("minidock/aaa", "docker/bbb", "system.slice/docker-ccc.scope", "peer-7/x/y/ddd"):
        (tmp_path / place).mkdir(parents=True)
    found = {name: counters._find(str(tmp_path), name) for name in ("aaa", "bbb", "ccc", "ddd", "eee")}
    assert found == {"aaa": "minidock/aaa", "bbb": "docker/bbb", "ccc": "system.slice/docker-ccc.scope",
                     "ddd": "peer-7/x/y/ddd", "eee": None}  # fmt: skip


def test_no_such_container() -> None:
    with pytest.raises(FileNotFoundError):
        counters.group("f" * 64)

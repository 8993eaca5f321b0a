"""From docker's options to numbers, and from numbers to the files of both versions; a machine is a tree of plain files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import InvalidParameter
from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import v1, v2
from minidock.libcontainer.cgroups.hierarchy import Hierarchy, offers
from minidock.libcontainer.cgroups.resources import FIELDS, Resources, dropped, from_host_config, present, settings

MIB = 1 << 20

# Everything at once, as v1 and v2 write it, in order.
ALL = Resources(
    cpu_shares=512,
    cpu_period=50_000,
    cpu_quota=25_000,
    cpuset_cpus="0-1",
    cpuset_mems="0",
    memory=64 * MIB,
    memory_swap=128 * MIB,
    memory_reservation=32 * MIB,
    memory_swappiness=0,
    oom_kill_disable=True,
    pids_limit=100,
    blkio_weight=500,
    blkio_weight_device=((8, 0, 100),),
    throttle_read_bps=((8, 0, MIB), (8, 16, 2 * MIB)),
    throttle_write_bps=((8, 0, 3 * MIB),),
    throttle_read_iops=((8, 0, 0),),
    throttle_write_iops=((8, 16, 20),),
    hugetlb=(("2MB", 4 * MIB),),
)
ALL_V1 = (
    ("cpuset.cpus", "0-1"),
    ("cpuset.mems", "0"),
    ("cpu.shares", "512"),
    ("cpu.cfs_period_us", "50000"),
    ("cpu.cfs_quota_us", "25000"),
    ("memory.limit_in_bytes", "67108864"),
    ("memory.memsw.limit_in_bytes", "134217728"),
    ("memory.soft_limit_in_bytes", "33554432"),
    ("memory.swappiness", "0"),
    ("memory.oom_control", "1"),
    ("pids.max", "100"),
    ("blkio.bfq.weight", "500"),
    ("blkio.bfq.weight_device", "8:0 100"),
    ("blkio.throttle.read_bps_device", "8:0 1048576"),
    ("blkio.throttle.read_bps_device", "8:16 2097152"),
    ("blkio.throttle.write_bps_device", "8:0 3145728"),
    ("blkio.throttle.read_iops_device", "8:0 0"),
    ("blkio.throttle.write_iops_device", "8:16 20"),
    ("hugetlb.2MB.limit_in_bytes", "4194304"),
)
ALL_V2 = (
    ("cpuset.cpus", "0-1"),
    ("cpuset.mems", "0"),
    ("cpu.weight", "59"),
    ("cpu.max", "25000 50000"),
    ("memory.max", "67108864"),
    ("memory.swap.max", "67108864"),
    ("memory.low", "33554432"),
    ("pids.max", "100"),
    ("io.bfq.weight", "500"),
    ("io.bfq.weight", "8:0 100"),
    ("io.max", "8:0 rbps=1048576 wbps=3145728 riops=max"),
    ("io.max", "8:16 rbps=2097152 wiops=20"),
    ("hugetlb.2MB.max", "4194304"),
)


def everything(file: str) -> bool:
    return bool(file)


def one_tree(
    root: Path, version: int, controllers: Sequence[str], files: Sequence[str], child: Sequence[str] = ()
) -> Hierarchy:
    """A cgroup tree of plain files; `child` are those of a cgroup below the root."""
    root.mkdir(parents=True)
    for file in files:
        (root / file).write_text("")
    if child:
        (root / "other").mkdir()
        for file in child:
            (root / "other" / file).write_text("")
        if version == 2:
            (root / "other" / "cgroup.controllers").write_text(" ".join(controllers) + "\n")
    return Hierarchy(version, tuple(controllers), str(root))


# -- from docker's options


def test_from_host_config_takes_numbers_over() -> None:
    options = {
        "CpuShares": 512, "CpuPeriod": 50_000, "CpuQuota": 25_000, "CpusetCpus": "0-1", "CpusetMems": "0",
        "Memory": 64 * MIB, "MemorySwap": -1, "MemoryReservation": 32 * MIB, "MemorySwappiness": 0, "OomKillDisable": True,
        "PidsLimit": 100, "BlkioWeight": 500, "Privileged": True, "KernelMemory": 4 * MIB,
    }  # fmt: skip
    assert from_host_config(options) == Resources(
        cpu_shares=512,
        cpu_period=50_000,
        cpu_quota=25_000,
        cpuset_cpus="0-1",
        cpuset_mems="0",
        memory=64 * MIB,
        memory_swap=-1,
        memory_reservation=32 * MIB,
        memory_swappiness=0,
        oom_kill_disable=True,
        pids_limit=100,
        blkio_weight=500,
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"Memory": 0, "CpuShares": 0, "CpuQuota": 0, "CpusetCpus": "", "NanoCpus": 0, "BlkioWeight": 0, "PidsLimit": None},
        {"MemorySwappiness": None, "OomKillDisable": None, "BlkioDeviceReadBps": None, "BlkioWeightDevice": []},
        {"MemorySwappiness": -1, "OomKillDisable": False},
    ],
)
def test_what_is_not_asked_for_is_left_alone(options: dict[str, Any]) -> None:
    assert from_host_config(options) == Resources()
    assert v1.settings(Resources(), everything) == v2.settings(Resources(), everything) == ()


@pytest.mark.parametrize(("cpus", "quota"), [(1_500_000_000, 150_000), (10_000_000, 1_000), (123_456_789, 12_345)])
def test_cpus_is_a_quota_in_100_ms(cpus: int, quota: int) -> None:
    assert from_host_config({"NanoCpus": cpus}) == Resources(cpu_period=100_000, cpu_quota=quota)


@pytest.mark.parametrize(("given", "limit"), [(0, -1), (-1, -1), (1, 1)])
def test_pids_limit(given: int, limit: int) -> None:
    """--pids-limit: 0 and -1 are no limit."""
    assert from_host_config({"PidsLimit": given}).pids_limit == limit


def test_devices_are_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their numbers, through links; what is no block device is refused with its name."""
    plain = tmp_path / "plain"
    plain.write_text("")
    seen = os.stat_result((0o060660, 0, 0, 1, 0, 0, 0, 0, 0, 0), {"st_rdev": os.makedev(8, 3)})
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda path: seen)
        found = from_host_config(
            {
                "BlkioWeightDevice": [{"Path": "/dev/sda3", "Weight": 100}],
                "BlkioDeviceReadBps": [{"Path": "/dev/sda3", "Rate": 1}],
                "BlkioDeviceWriteBps": [{"Path": "/dev/sda3", "Rate": 2}],
                "BlkioDeviceReadIOps": [{"Path": "/dev/sda3", "Rate": 3}],
                "BlkioDeviceWriteIOps": [{"Path": "/dev/sda3", "Rate": 4}],
            }
        )
    assert found == Resources(
        blkio_weight_device=((8, 3, 100),),
        throttle_read_bps=((8, 3, 1),),
        throttle_write_bps=((8, 3, 2),),
        throttle_read_iops=((8, 3, 3),),
        throttle_write_iops=((8, 3, 4),),
    )
    for path in (plain, tmp_path / "none", "/dev/null"):
        with pytest.raises(InvalidParameter, match=str(path)):
            from_host_config({"BlkioDeviceReadBps": [{"Path": str(path), "Rate": 1}]})


# -- to files


def test_everything_on_v1() -> None:
    assert v1.settings(ALL, lambda file: file != "hugetlb.2MB.max") == ALL_V1


def test_everything_on_v2() -> None:
    assert v2.settings(ALL, everything) == ALL_V2


def test_every_field_is_somewhere() -> None:
    """Negative control of the two tests above: a field without a file would be lost in silence."""
    assert {*v1.FILES, "hugetlb"} == {*v2.FILES, "hugetlb"} == set(FIELDS)
    none = Resources()
    assert all(getattr(ALL, name) != getattr(none, name) for name in FIELDS)


def test_limits_are_taken_away() -> None:
    away = Resources(cpu_quota=-1, memory=-1, memory_swap=-1, pids_limit=-1, throttle_read_bps=((8, 0, 0),))
    assert v1.settings(away, everything) == (
        ("cpu.cfs_quota_us", "-1"),
        ("memory.limit_in_bytes", "-1"),
        ("memory.memsw.limit_in_bytes", "-1"),
        ("pids.max", "max"),
        ("blkio.throttle.read_bps_device", "8:0 0"),
    )
    assert v2.settings(away, everything) == (
        ("cpu.max", "max 100000"),
        ("memory.max", "max"),
        ("memory.swap.max", "max"),
        ("pids.max", "max"),
        ("io.max", "8:0 rbps=max"),
    )


def test_unlimited_memory_takes_swap_along() -> None:
    assert dict(v1.settings(Resources(memory=-1), everything))["memory.memsw.limit_in_bytes"] == "-1"
    assert dict(v2.settings(Resources(memory=-1), everything))["memory.swap.max"] == "max"


@pytest.mark.parametrize(
    ("memory", "memory_swap", "text"),
    [(64, 128, "64"), (64, 64, "0"), (64, -1, "max"), (None, -1, "max"), (-1, -1, "max")],
)
def test_swap_alone(memory: int | None, memory_swap: int, text: str) -> None:
    """docker's sum of memory and swap becomes swap alone on v2."""
    assert v2.swap_max(memory, memory_swap) == text


@pytest.mark.parametrize(("memory", "memory_swap"), [(None, 64), (64, 63), (-1, 64)])
def test_swap_that_cannot_be_said_on_v2(memory: int | None, memory_swap: int) -> None:
    with pytest.raises(InvalidParameter, match="limit"):
        v2.swap_max(memory, memory_swap)


# What opencontainers/cgroups v0.0.3 and runc 1.1 compute.
SHARES = (2, 10, 100, 128, 250, 256, 500, 512, 600, 750, 1000, 1024, 2000, 2048, 3072, 4096, 8192, 10240, 65536, 262144)
NEW = (1, 4, 17, 21, 34, 35, 58, 59, 66, 79, 99, 100, 170, 174, 240, 303, 532, 639, 3023, 10000)
OLD = (1, 1, 4, 5, 10, 10, 19, 20, 23, 29, 39, 39, 77, 79, 118, 157, 313, 391, 2500, 10000)


def test_cpu_weights() -> None:
    """Shares become the weights that runc computes, by its new formula and by its old one."""
    assert tuple(int(cgroups.cpu_weight(shares)) for shares in SHARES) == NEW
    assert tuple(int(v2.cpu_weight_old(shares)) for shares in SHARES) == OLD


@given(st.integers(2, 262_144), st.integers(2, 262_144))
def test_cpu_weights_keep_the_order(one: int, other: int) -> None:
    low, high = sorted((one, other))
    for weight in (v2.cpu_weight, v2.cpu_weight_old):
        assert 1 <= int(weight(low)) <= int(weight(high)) <= 10_000


@pytest.mark.parametrize(("weight", "text"), [(10, "1"), (100, "910"), (500, "4950"), (1000, "10000")])
def test_io_weight(weight: int, text: str) -> None:
    """Block I/O weights on v2's scale."""
    assert v2.io_weight(weight) == text


def test_blkio_weight_goes_where_the_kernel_has_it() -> None:
    wanted = Resources(blkio_weight=500, blkio_weight_device=((8, 0, 100),))
    assert v2.settings(wanted, lambda file: file == "io.weight") == (("io.weight", "4950"), ("io.weight", "8:0 910"))
    assert v2.settings(wanted, lambda file: file == "io.bfq.weight") == (("io.bfq.weight", "500"), ("io.bfq.weight", "8:0 100"))
    assert v1.settings(wanted, lambda file: "bfq" not in file) == (("blkio.weight", "500"), ("blkio.weight_device", "8:0 100"))
    assert v1.settings(wanted, lambda file: not file) == v2.settings(wanted, lambda file: not file) == ()


@pytest.mark.parametrize(
    ("quota", "period", "text"),
    [(25_000, 50_000, "25000 50000"), (25_000, None, "25000 100000"), (None, 50_000, "max 50000"), (-1, None, "max 100000")],
)
def test_cpu_max(quota: int | None, period: int | None, text: str) -> None:
    """Quota and period in v2's one file."""
    assert v2.cpu_max(quota, period) == text


# -- what the machine has


def test_settings_on_trees(tmp_path: Path) -> None:
    """The old signature, docker's options and whatever is mounted, still answers the same."""
    options = {"Memory": 64 * MIB, "PidsLimit": -1, "CpuShares": 512, "CpusetCpus": "0-1", "CpusetMems": "", "Privileged": True}
    old = [
        one_tree(tmp_path / "memory", 1, ["memory"], ["memory.limit_in_bytes"]),
        one_tree(tmp_path / "cpu", 1, ["cpu", "cpuacct"], ["cpu.shares"]),
        one_tree(tmp_path / "pids", 1, ["pids"], []),
        one_tree(tmp_path / "cpuset", 1, ["cpuset"], ["cpuset.cpus"]),
    ]
    new = [one_tree(tmp_path / "unified", 2, ["cpuset", "cpu", "io", "memory", "pids"], [])]
    assert cgroups.settings(options, old) == (
        ("cpuset.cpus", "0-1"),
        ("cpu.shares", "512"),
        ("memory.limit_in_bytes", "67108864"),
        ("pids.max", "max"),
    )
    assert cgroups.settings(options, new) == (
        ("cpuset.cpus", "0-1"),
        ("cpu.weight", "59"),
        ("memory.max", "67108864"),
        ("pids.max", "max"),
    )
    assert cgroups.settings(from_host_config(options), new) == cgroups.settings(options, new)


def test_a_v1_machine_without_swap_accounting(tmp_path: Path) -> None:
    """Kernels from 6.1 always account swap: an older one is plain files. With the file, the setting is there."""
    wanted = Resources(memory=64 * MIB, memory_swap=128 * MIB)
    without = [one_tree(tmp_path / "a", 1, ["memory"], ["memory.limit_in_bytes"])]
    assert dropped(wanted, without) == ("memory_swap",)
    assert settings(wanted, without) == (("memory.limit_in_bytes", "67108864"),)
    having = [one_tree(tmp_path / "b", 1, ["memory"], ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"])]
    assert dropped(wanted, having) == ()
    assert settings(wanted, having)[1:] == (("memory.memsw.limit_in_bytes", "134217728"),)


def test_a_v2_machine_without_swap_accounting(tmp_path: Path) -> None:
    wanted = Resources(memory=64 * MIB, memory_swap=128 * MIB)
    without = [one_tree(tmp_path / "a", 2, ["memory"], [], ["memory.max"])]
    assert (dropped(wanted, without), settings(wanted, without)) == (("memory_swap",), (("memory.max", "67108864"),))
    having = [one_tree(tmp_path / "b", 2, ["memory"], [], ["memory.max", "memory.swap.max"])]
    assert (dropped(wanted, having), len(settings(wanted, having))) == ((), 2)


def test_controllers_that_are_not_mounted(tmp_path: Path) -> None:
    only_cpu = [one_tree(tmp_path / "cpu", 1, ["cpu"], ["cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"])]
    assert present(only_cpu) == {"cpu_shares", "cpu_period", "cpu_quota"}
    assert dropped(ALL, only_cpu) == tuple(name for name in FIELDS if not name.startswith("cpu_"))
    assert settings(ALL, only_cpu) == ALL_V1[2:5]


def test_v2_has_no_swappiness_and_no_oom_switch(tmp_path: Path) -> None:
    tree = one_tree(tmp_path / "t", 2, ["memory", "cpu", "cpuset", "io", "pids", "hugetlb"], ["io.cost.qos"])
    assert dropped(ALL, [tree]) == ("memory_swappiness", "oom_kill_disable")


@pytest.mark.parametrize(
    ("root", "child", "file", "answer"),
    [
        (["blkio.bfq.io_service_bytes"], [], "blkio.bfq.weight", True),  # bfq is there: its sign in the root
        ([], [], "blkio.bfq.weight", False),
        (["blkio.bfq.io_service_bytes"], ["blkio.reset_stats"], "blkio.bfq.weight", False),  # a cgroup knows better
        ([], ["blkio.bfq.weight"], "blkio.bfq.weight", True),
        (["blkio.throttle.read_bps_device"], [], "blkio.throttle.read_bps_device", True),
    ],
)
def test_offers_on_v1(tmp_path: Path, root: list[str], child: list[str], file: str, answer: bool) -> None:
    assert offers([one_tree(tmp_path / "t", 1, ["blkio"], root, child)], file) is answer


@pytest.mark.parametrize(
    ("root", "child", "file", "answer"),
    [
        ([], [], "io.max", True),
        ([], [], "io.bfq.weight", False),
        ([], ["io.max", "io.bfq.weight"], "io.bfq.weight", True),
        (["io.cost.qos"], [], "io.weight", True),
        ([], [], "io.weight", False),
        ([], [], "memory.max", False),  # no such controller
    ],
)
def test_offers_on_v2(tmp_path: Path, root: list[str], child: list[str], file: str, answer: bool) -> None:
    assert offers([one_tree(tmp_path / "t", 2, ["io"], root, child)], file) is answer


def test_offers_does_not_believe_a_cgroup_without_the_controller(tmp_path: Path) -> None:
    tree = one_tree(tmp_path / "t", 2, ["memory"], [], ["cgroup.type"])
    (tmp_path / "t" / "other" / "cgroup.controllers").write_text("pids\n")
    assert offers([tree], "memory.swap.max")


@pytest.mark.parametrize("child", [[], ["hugetlb.2MB.max"]])
def test_hugetlb_of_a_hybrid_host_is_in_the_unified_tree(tmp_path: Path, child: list[str]) -> None:
    trees = [
        one_tree(tmp_path / "memory", 1, ["memory"], ["memory.limit_in_bytes"]),
        one_tree(tmp_path / "unified", 2, ["hugetlb"], [], child),
    ]
    assert settings(Resources(memory=MIB, hugetlb=(("2MB", -1),)), trees) == (
        ("memory.limit_in_bytes", "1048576"),
        ("hugetlb.2MB.max", "max"),
    )
    assert "hugetlb" in present(trees) and "hugetlb" not in present(trees[:1])

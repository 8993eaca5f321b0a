"""Resource options: docker's words for what cannot be, its warnings for what this machine cannot do."""

from __future__ import annotations

import copy
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.daemon.request import limits
from minidock.errors import InvalidParameter
from minidock.libcontainer.cgroups import v1, v2
from minidock.libcontainer.cgroups.hierarchy import Hierarchy

MB, GB = 1 << 20, 1 << 30
CONTROLLERS = ("blkio", "cpu", "cpuset", "memory", "pids")
CPUS = len(os.sched_getaffinity(0))


def machine(root: Path, without: tuple[str, ...] = ()) -> list[Hierarchy]:
    """A cgroup v1 machine in a folder, with CPUs 0-1 and node 0; `without` some files or whole controllers."""
    trees = []
    for controller in CONTROLLERS:
        if controller in without:
            continue
        folder = root / controller
        (folder / "some").mkdir(parents=True)
        for names in v1.FILES.values():
            for name in names:
                if name.startswith(f"{controller}.") and name not in without:
                    (folder / "some" / name).touch()
                    (folder / name).touch()
        trees.append(Hierarchy(1, (controller,), str(folder)))
    if "cpuset" not in without:
        (root / "cpuset" / "cpuset.cpus").write_text("0-1\n")
        (root / "cpuset" / "cpuset.mems").write_text("0\n")
    return trees


def unified_machine(root: Path, without: tuple[str, ...] = ()) -> list[Hierarchy]:
    """A cgroup v2 machine in a folder."""
    (root / "some").mkdir(parents=True)
    (root / "some" / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    for names in v2.FILES.values():
        for name in set(names) - set(without):
            (root / "some" / name).touch()
    (root / "cpuset.cpus.effective").write_text("0-1\n")
    (root / "cpuset.mems.effective").write_text("0\n")
    return [Hierarchy(2, ("cpuset", "cpu", "io", "memory", "pids"), str(root))]


NO_NUMBER = "json: cannot unmarshal {} into Go struct field {} of type {}"
RATES = ("BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps")
PERIOD = "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
SMALL_SWAP = "Minimum memoryswap limit should be larger than memory limit, see usage"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"Memory": 1}, "Minimum memory limit allowed is 6MB"),
    ({"Memory": 6 * MB - 1}, "Minimum memory limit allowed is 6MB"),
    ({"Memory": -1}, "Minimum memory limit allowed is 6MB"),
    ({"Memory": 1 << 63}, NO_NUMBER.format(f"number {1 << 63}", "HostConfig.HostConfig.Memory", "int64")),
    ({"Memory": "64m"}, NO_NUMBER.format("string", "HostConfig.HostConfig.Memory", "int64")),
    ({"Memory": 1.5}, NO_NUMBER.format("number 1.5", "HostConfig.HostConfig.Memory", "int64")),
    ({"Memory": True}, NO_NUMBER.format("bool", "HostConfig.HostConfig.Memory", "int64")),
    ({"Memory": [1]}, NO_NUMBER.format("array", "HostConfig.HostConfig.Memory", "int64")),
    ({"MemorySwap": 64 * MB}, "You should always set the Memory limit when using Memoryswap limit, see usage"),
    ({"Memory": 64 * MB, "MemorySwap": 63 * MB}, SMALL_SWAP),
    ({"Memory": 64 * MB, "MemorySwap": -2}, SMALL_SWAP),
    ({"MemorySwap": -2}, SMALL_SWAP),
    ({"MemoryReservation": 1}, "Minimum memory reservation allowed is 6MB"),
    ({"MemoryReservation": -1}, "Minimum memory reservation allowed is 6MB"),
    ({"Memory": 64 * MB, "MemoryReservation": 65 * MB},
     "Minimum memory limit can not be less than memory reservation limit, see usage"),
    ({"KernelMemory": MB}, "Minimum kernel memory limit allowed is 6MB"),
    ({"MemorySwappiness": 101}, "Invalid value: 101, valid memory swappiness range is 0-100"),
    ({"MemorySwappiness": -2}, "Invalid value: -2, valid memory swappiness range is 0-100"),
    ({"OomKillDisable": "yes"}, NO_NUMBER.format("string", "HostConfig.HostConfig.OomKillDisable", "bool")),
    ({"OomScoreAdj": 1001}, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
    ({"OomScoreAdj": -1001}, "Invalid value -1001, range for oom score adj is [-1000, 1000]"),
    ({"PidsLimit": 1 << 63}, NO_NUMBER.format(f"number {1 << 63}", "HostConfig.HostConfig.PidsLimit", "int64")),
    ({"PidsLimit": "many"}, NO_NUMBER.format("string", "HostConfig.HostConfig.PidsLimit", "int64")),
    ({"CpuShares": -1}, "shares: invalid argument"),
    ({"CpuShares": 1}, "the minimum allowed cpu-shares is 2"),
    ({"CpuShares": 262145}, "the maximum allowed cpu-shares is 262144"),
    ({"CpuPeriod": 999}, PERIOD),
    ({"CpuPeriod": 1_000_001}, PERIOD),
    ({"CpuPeriod": -1}, PERIOD),
    ({"CpuQuota": 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
    ({"NanoCpus": 10**9, "CpuPeriod": 100_000}, "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
    ({"NanoCpus": 10**9, "CpuQuota": 100_000}, "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
    *(
        ({"NanoCpus": wrong}, f"Range of CPUs is from 0.01 to {CPUS}.00, as there are only {CPUS} CPUs available")
        for wrong in (-1, 1, 9_999_999, CPUS * 10**9 + 1)
    ),
    ({"CpusetCpus": "99"}, "Requested CPUs are not available - requested 99, available: 0-1"),
    ({"CpusetCpus": "0-2"}, "Requested CPUs are not available - requested 0-2, available: 0-1"),
    ({"CpusetCpus": "1-0"}, "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"),
    ({"CpusetCpus": "0,"}, "Invalid value 0, for cpuset cpus: invalid format: 0,"),
    ({"CpusetCpus": "-1"}, "Invalid value -1 for cpuset cpus: invalid format: -1"),
    ({"CpusetCpus": "0-"}, "Invalid value 0- for cpuset cpus: invalid format: 0-"),
    ({"CpusetCpus": "a"}, "Invalid value a for cpuset cpus: invalid format: a"),
    ({"CpusetCpus": " "}, "Invalid value   for cpuset cpus: invalid format:  "),
    ({"CpusetCpus": "0-2147483647"}, "Invalid value 0-2147483647 for cpuset cpus: value of out range, maximum is 8192"),
    ({"CpusetCpus": 0.5}, NO_NUMBER.format("number", "HostConfig.HostConfig.CpusetCpus", "string")),
    ({"CpusetMems": "9"}, "Requested memory nodes are not available - requested 9, available: 0"),
    ({"CpusetMems": "0--1"}, "Invalid value 0--1 for cpuset mems: invalid format: 0--1"),
    ({"BlkioWeight": 5}, "Range of blkio weight is from 10 to 1000"),
    ({"BlkioWeight": 1001}, "Range of blkio weight is from 10 to 1000"),
    ({"BlkioWeight": -1}, NO_NUMBER.format("number -1", "HostConfig.HostConfig.BlkioWeight", "uint16")),
    ({"BlkioWeight": 65536}, NO_NUMBER.format("number 65536", "HostConfig.HostConfig.BlkioWeight", "uint16")),
    ({"BlkioWeightDevice": [{"Path": "/dev/nope", "Weight": 9}]}, "invalid weight for device: /dev/nope:9"),
    ({"BlkioWeightDevice": [{"Path": "/dev/nope", "Weight": 10}]}, "stat /dev/nope: no such file or directory"),
    ({"BlkioWeightDevice": {}},
     NO_NUMBER.format("object", "HostConfig.HostConfig.BlkioWeightDevice", "[]*blkiodev.WeightDevice")),
    *(({key: [{"Path": "/dev/null", "Rate": 1}]}, "/dev/null is not a block device") for key in RATES),
    *(({key: [{"Path": "/dev/nope", "Rate": 1}]}, "stat /dev/nope: no such file or directory") for key in RATES),
    ({"BlkioDeviceReadBps": [{"Path": "/dev/nope", "Rate": -1}]},
     NO_NUMBER.format("number -1", "ThrottleDevice.HostConfig.BlkioDeviceReadBps.Rate", "uint64")),
    ({"BlkioDeviceReadBps": [{"Rate": 1}]}, "stat : no such file or directory"),
    ({"BlkioDeviceReadBps": ["/dev/nope:1"]},
     NO_NUMBER.format("string", "HostConfig.HostConfig.BlkioDeviceReadBps", "blkiodev.ThrottleDevice")),
    ({"CgroupParent": 1}, NO_NUMBER.format("number", "HostConfig.HostConfig.CgroupParent", "string")),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "words"), WRONG)
def test_what_cannot_be(tmp_path: Path, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        limits.check(dict(wrong), machine(tmp_path))
    assert caught.value.explanation == words


RIGHT = {
    "Memory": 64 * MB, "MemorySwap": 128 * MB, "MemoryReservation": 32 * MB, "MemorySwappiness": 0, "OomKillDisable": True,
    "OomScoreAdj": -1000, "PidsLimit": 100, "CpuShares": 2, "CpuPeriod": 1000, "CpuQuota": 1000, "CpusetCpus": "0-1,1,0",
    "CpusetMems": "0", "BlkioWeight": 10,
}  # fmt: skip


@pytest.mark.parametrize(
    "right",
    [
        RIGHT,
        {"Memory": 6 * MB, "MemorySwap": -1, "CpuShares": 262144, "CpuPeriod": 1_000_000, "CpuQuota": -1, "BlkioWeight": 1000},
        {"NanoCpus": 10_000_000}, {"NanoCpus": CPUS * 10**9}, {"PidsLimit": 0}, {"PidsLimit": -1}, {"MemorySwap": -1},
        {"Memory": (1 << 63) - 1, "MemorySwap": (1 << 63) - 1}, {"CpusetCpus": "01"}, {},
    ],
)  # fmt: skip
def test_what_can_be_stays_as_it_is(tmp_path: Path, right: dict[str, Any]) -> None:
    assert limits.check(right, machine(tmp_path)) == (right, ())


def test_a_swappiness_of_minus_one_is_none(tmp_path: Path) -> None:
    assert limits.check({"MemorySwappiness": -1}, machine(tmp_path)) == ({"MemorySwappiness": None}, ())


NO = "Your kernel does not support "
GONE = " or the cgroup is not mounted. "
DISCARDED: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("memory.memsw.limit_in_bytes", {"Memory": 64 * MB, "MemorySwap": 128 * MB},
     f"{NO}swap limit capabilities{GONE}Memory limited without swap.", {"Memory": 64 * MB, "MemorySwap": -1}),
    ("memory", {"Memory": 64 * MB}, f"{NO}memory limit capabilities{GONE}Limitation discarded.",
     {"Memory": 0, "MemorySwap": -1}),
    ("memory", {"MemoryReservation": 64 * MB}, f"{NO}memory soft limit capabilities{GONE}Limitation discarded.",
     {"MemoryReservation": 0}),
    ("memory.swappiness", {"MemorySwappiness": 5}, f"{NO}memory swappiness capabilities{GONE}Memory swappiness discarded.",
     {"MemorySwappiness": None}),
    ("memory.oom_control", {"OomKillDisable": True, "Memory": GB}, f"{NO}OomKillDisable. OomKillDisable discarded.",
     {"OomKillDisable": None, "Memory": GB}),
    ("pids", {"PidsLimit": 5}, f"{NO}PIDs limit capabilities{GONE}PIDs limit discarded.", {"PidsLimit": None}),
    ("cpu", {"CpuShares": 5}, f"{NO}CPU shares{GONE}Shares discarded.", {"CpuShares": 0}),
    ("cpu.cfs_quota_us", {"CpuQuota": 5000}, f"{NO}CPU CFS scheduler. CPU period/quota discarded.",
     {"CpuQuota": 0, "CpuPeriod": 0}),
    ("cpuset", {"CpusetCpus": "0"}, f"{NO}cpuset{GONE}Cpuset discarded.", {"CpusetCpus": "", "CpusetMems": ""}),
    ("blkio", {"BlkioWeight": 10}, f"{NO}Block I/O weight{GONE}Weight discarded.", {"BlkioWeight": 0}),
]  # fmt: skip


@pytest.mark.parametrize(("lacking", "asked", "words", "kept"), DISCARDED)
def test_what_the_machine_cannot_do_is_discarded(
    tmp_path: Path, lacking: str, asked: dict[str, Any], words: str, kept: dict[str, Any]
) -> None:  # fmt: skip
    before = copy.deepcopy(asked)
    assert limits.check(asked, machine(tmp_path / "lacks", (lacking,))) == (kept, (words,))
    assert asked == before  # what the user asked for is not written over
    assert limits.check(asked, machine(tmp_path / "has")) == (asked, ())  # control: the same on a machine that has it


def test_cpus_cannot_be_discarded(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match="NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or"):
        limits.check({"NanoCpus": 10**9}, machine(tmp_path, ("cpu.cfs_quota_us",)))


def test_warnings_about_what_is_possible_and_unwise(tmp_path: Path) -> None:
    trees = machine(tmp_path)
    disabled = "OOM killer is disabled for the container, but no memory limit is set, "
    assert limits.check({"OomKillDisable": True}, trees).warnings == (
        disabled + "this can result in the system running out of resources.",
    )
    assert limits.check({"KernelMemory": 64 * MB}, trees) == (
        {"KernelMemory": 0},
        (
            "Specifying a kernel memory limit is deprecated and will be removed in a future release.",
            f"{NO}kernel memory limit capabilities{GONE}Limitation discarded.",
        ),
    )


def test_the_unified_hierarchy(tmp_path: Path) -> None:
    trees = unified_machine(tmp_path / "v2")
    able = {key: value for key, value in RIGHT.items() if key not in ("MemorySwappiness", "OomKillDisable")}
    assert limits.check(able, trees) == (able, ())
    host: dict[str, Any] = {"MemorySwappiness": 5, "OomKillDisable": True}
    assert [text.partition(" capabilities")[0] for text in limits.check(host, trees).warnings] == [
        f"{NO}memory swappiness", f"{NO}OomKillDisable. OomKillDisable discarded.",
    ]  # fmt: skip
    with pytest.raises(InvalidParameter, match="Requested CPUs are not available - requested 2, available: 0-1"):
        limits.check({"CpusetCpus": "2"}, trees)
    host = {"Memory": 64 * MB}
    assert limits.check(host, unified_machine(tmp_path / "old", ("memory.swap.max",))).warnings == (
        f"{NO}swap limit capabilities{GONE}Memory limited without swap.",
    )


def test_what_the_caller_gave_stays_as_it_was(tmp_path: Path) -> None:
    """Lists are normalised in a copy: the request may be somebody's constant."""
    whole_disk = next(f"/dev/{name}" for name in sorted(os.listdir("/sys/block")) if os.path.exists(f"/dev/{name}"))
    trees = machine(tmp_path)
    for entry in ({"Rate": 1}, {"Path": whole_disk}):
        before = dict(entry)
        with suppress(InvalidParameter):
            limits.check({"BlkioDeviceReadBps": [entry]}, trees)
        assert entry == before


def test_an_update_of_swap_alone(tmp_path: Path) -> None:
    assert limits.check({"MemorySwap": 64 * MB}, machine(tmp_path), update=True).warnings == ()


@given(st.sets(st.integers(0, 200), min_size=1))
def test_lists_of_numbers(chosen: set[int]) -> None:
    assert limits.numbers(",".join(map(str, sorted(chosen)))) == chosen
    assert limits.numbers(f"{min(chosen)}-{max(chosen)}") == set(range(min(chosen), max(chosen) + 1))


@given(st.text("0123456789-, ", max_size=6))
def test_a_list_is_read_or_refused(text: str) -> None:
    try:
        assert limits.numbers(text)
    except ValueError as error:
        assert str(error) in (f"invalid format: {text}", "value of out range, maximum is 8192")

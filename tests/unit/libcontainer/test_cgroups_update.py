"""Changing limits in use: the order of the writes, what takes a write back, and what stays when one of them is refused."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.libcontainer.cgroups.hierarchy import previous, write, write_all
from minidock.libcontainer.cgroups.resources import Resources
from minidock.libcontainer.cgroups.v1 import in_safe_order, settings

LIMITS = st.one_of(st.integers(1, 1000), st.just(-1))


def bytes_of(limit: int) -> float:
    return float("inf") if limit == -1 else limit


@given(LIMITS, LIMITS, LIMITS, LIMITS)
def test_memory_is_never_more_than_memory_and_swap(memory: int, swap: int, new_memory: int, new_swap: int) -> None:
    """The kernel's rule, in any state and for any change that itself keeps it."""
    if bytes_of(memory) > bytes_of(swap) or bytes_of(new_memory) > bytes_of(new_swap):
        return
    held = {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": swap}
    shown = {name: str(2**63 - 4096 if value == -1 else value) for name, value in held.items()}
    changes = settings(Resources(memory=new_memory, memory_swap=new_swap), bool)
    for name, value in in_safe_order(changes, shown.__getitem__):
        held[name] = int(value)
        assert bytes_of(held["memory.limit_in_bytes"]) <= bytes_of(held["memory.memsw.limit_in_bytes"])
    assert tuple(held.values()) == (new_memory, new_swap)


def test_memory_in_the_order_of_a_fresh_cgroup_would_be_refused() -> None:
    """Negative control: raising both starts with the sum, and only then."""
    changes = (("memory.limit_in_bytes", "300"), ("memory.memsw.limit_in_bytes", "600"))
    assert in_safe_order(changes, lambda name: "200") == [*reversed(changes)]
    assert in_safe_order(changes, lambda name: "300") == [*changes]
    assert in_safe_order(changes[:1], lambda name: "200") == [*changes[:1]]


@given(*[st.integers(1000, 1_000_000)] * 4)
def test_a_quota_is_never_more_of_its_period_than_before_and_after(quota: int, period: int, new: int, new_period: int) -> None:
    """Between the two writes the share is at most the larger of both, so a parent that allowed those allows it."""
    held = {"cpu.cfs_quota_us": quota, "cpu.cfs_period_us": period}
    most = max(quota / period, new / new_period)
    shown = {name: str(value) for name, value in held.items()}
    for name, value in in_safe_order(settings(Resources(cpu_quota=new, cpu_period=new_period), bool), shown.__getitem__):
        held[name] = int(value)
        assert held["cpu.cfs_quota_us"] / held["cpu.cfs_period_us"] <= most


def test_the_rest_keeps_its_order() -> None:
    changes = (("cpuset.cpus", "0"), ("cpu.cfs_period_us", "1000"), ("cpu.cfs_quota_us", "1000"), ("pids.max", "5"))
    assert in_safe_order(changes, lambda name: "2000")[1:] == [changes[0], changes[1], changes[3]]


@pytest.mark.parametrize(
    ("name", "text", "value", "back"),
    [
        ("cpu.shares", "1024\n", "512", "1024"),
        ("cpu.max", "max 100000\n", "5000 10000", "max 100000"),
        ("cpuset.cpus", "\n", "0-1", "\n"),  # never set on v2: an empty line, since writing nothing changes nothing
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 3\n", "1", "0"),
        ("io.max", "", "8:0 rbps=5", "8:0 rbps=max wbps=max riops=max wiops=max"),
        (
            "io.max",
            "8:0 rbps=1 wbps=max riops=max wiops=max\n8:16 rbps=2 wbps=max riops=max wiops=max\n",
            "8:16 rbps=5",
            "8:16 rbps=2 wbps=max riops=max wiops=max",
        ),
        ("blkio.throttle.read_bps_device", "8:160 7\n", "8:16 5", "8:16 0"),
        ("blkio.throttle.read_bps_device", "8:160 7\n8:16 9\n", "8:16 5", "8:16 9"),
        ("blkio.bfq.weight_device", "", "8:0 5", "8:0 default"),
        ("io.weight", "default 100\n8:0 50\n", "200", "default 100"),
        ("io.weight", "default 100\n8:0 50\n", "8:0 200", "8:0 50"),
        ("io.bfq.weight", "default 100\n", "8:0 200", "8:0 default"),
    ],
)
def test_previous(name: str, text: str, value: str, back: str) -> None:
    """What a failed update has to write back is what the file said before."""
    assert previous(name, text, value) == back


def test_all_or_none(tmp_path: Path) -> None:
    """The third write fails: the first two are taken back, the last one first. Without the fault all three hold."""
    files = [tmp_path / name for name in ("a", "b", "c")]
    for file in files:
        file.write_text("old")
    write_all([(str(file), "new") for file in files])
    assert [file.read_text() for file in files] == ["new"] * 3
    refusing = [*((str(file), "bad") for file in files[:2]), (str(tmp_path / "none"), "bad")]
    with pytest.raises(OSError) as caught:
        write_all(refusing)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(tmp_path / "none"))
    assert [file.read_text() for file in files] == ["new"] * 3


def test_a_refused_write_names_file_and_value() -> None:
    with pytest.raises(OSError, match="write '8:0 5'") as caught:
        write("/dev/full", "8:0 5")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")

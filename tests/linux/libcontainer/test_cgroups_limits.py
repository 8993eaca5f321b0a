"""One suite for both drivers: each limit is set, read back from the kernel, changed in use, taken back, and seen to work.

Each test runs for v1 and for v2, with the controllers that this machine has for that version: all of them on one of the two,
and on a hybrid host what is left for the other (hugetlb). A limit that the machine cannot hold must be left out, not refused.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

from minidock.errors import SystemFault
from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import v1, v2
from minidock.libcontainer.cgroups.hierarchy import offers
from minidock.libcontainer.cgroups.resources import Resources
from minidock.libcontainer.config import Cgroup
from tests.linux.libcontainer.groups import PATH, born_in, reap, sleeper
from tests.linux.libcontainer.limits import (
    AT,
    CASES,
    CPUS,
    DISK,
    INHERITED,
    LAST_CPU,
    MIB,
    Expected,
    everything,
    expected,
    holds,
    path_of,
    shown,
    trees_of,
    wanted,
)


@pytest.mark.parametrize("name", CASES)
def test_each_limit_is_read_back_and_changed_in_use(manager: cgroups.Manager, name: str) -> None:
    """Negative control in the middle: the same check on a cgroup without the limit fails."""
    first, second = CASES[name]
    settings_made, lines = wanted(manager, first[0]), expected(manager, first)
    assert bool(settings_made) == bool(lines)  # what is left out is what the machine has no file for

    manager.create(Cgroup(PATH, settings=settings_made))
    assert holds(manager, lines)
    for file in (second[2] if isinstance(manager, v2.Manager) else second[1]).keys() - lines.keys():
        assert not path_of(manager, file).exists() or "io.bfq.weight" in lines  # nothing was left out that could be held
    manager.remove()

    manager.create(Cgroup(PATH))
    if lines and not (INHERITED.get(name) and isinstance(manager, v1.Manager)):
        assert not holds(manager, lines)
    with_process = born_in(manager, sleeper)
    for resources, case in ((first[0], first), (second[0], second)):
        manager.update(resources)
        assert holds(manager, expected(manager, case))
    manager.kill()
    reap(*with_process)


def test_all_limits_at_once(manager: cgroups.Manager) -> None:
    pairs = [CASES[name][0] for name in CASES]
    values = {f: v for case in pairs for f, v in case[0]._asdict().items() if v not in (None, ())}
    manager.create(Cgroup(PATH, settings=wanted(manager, Resources(**values))))
    lines: Expected = {}
    for case in pairs:
        for file, line in expected(manager, case).items():
            lines[file] = line
    if "io.max" in lines:
        lines["io.max"] = f"{AT} rbps=1048576 wbps=2097152 riops=100 wiops=200"
    assert holds(manager, lines)


# -- update


STEPS = [(32, 64), (256, 512), (16, 16), (512, -1), (-1, -1), (24, 48), (40, 40), (48, 100)]


def test_memory_and_swap_move_both_ways(manager: cgroups.Manager) -> None:
    """Smaller and larger than the old values, with a limit or without, always in an order that the kernel takes."""
    manager.create(Cgroup(PATH))
    if "memory" not in manager.paths():
        return
    for memory, swap in STEPS:
        in_bytes = [n if n == -1 else n * MIB for n in (memory, swap)]
        manager.update(Resources(memory=in_bytes[0], memory_swap=in_bytes[1]))
        if isinstance(manager, v1.Manager):
            held = [int(shown(manager, f"memory.{f}limit_in_bytes")) for f in ("", "memsw.")]
            assert [-1 if n > 2**62 else n for n in held] == in_bytes
        else:
            alone = "max" if swap == -1 else str(in_bytes[1] - in_bytes[0])
            assert shown(manager, "memory.max").strip() == ("max" if memory == -1 else str(in_bytes[0]))
            assert shown(manager, "memory.swap.max").strip() == alone


def test_v1_refuses_memory_above_memory_and_swap(manager: cgroups.Manager) -> None:
    """Negative control of the order: written as for a fresh cgroup, the kernel says no."""
    if not isinstance(manager, v1.Manager):
        return
    manager.create(Cgroup(PATH, settings=wanted(manager, Resources(memory=32 * MIB, memory_swap=64 * MIB))))
    with pytest.raises(OSError, match="Invalid"):
        Path(manager.paths()["memory"], "memory.limit_in_bytes").write_text(str(256 * MIB))
    before = everything(manager)
    with pytest.raises(SystemFault) as caught:
        manager.update(Resources(cpu_shares=99, memory=256 * MIB))  # and memory+swap stays
    assert caught.value.errno == errno.EINVAL
    assert everything(manager) == before


def test_half_of_a_pair_keeps_the_other_half(manager: cgroups.Manager) -> None:
    """v2 holds quota and period in one file, and memory+swap in two."""
    manager.create(Cgroup(PATH))
    if not isinstance(manager, v2.Manager) or "memory" not in manager.paths():
        return
    manager.update(Resources(cpu_quota=20_000, cpu_period=40_000, memory=64 * MIB, memory_swap=64 * MIB))
    manager.update(Resources(cpu_quota=10_000, memory_swap=96 * MIB))
    assert holds(manager, {"cpu.max": "10000 40000", "memory.swap.max": str(32 * MIB)})
    manager.update(Resources(cpu_period=80_000))
    assert holds(manager, {"cpu.max": "10000 80000"})


def test_an_update_is_whole_or_nothing(manager: cgroups.Manager) -> None:
    """The last value names a disk that is none: what was written before is put back, on a cgroup with limits and without."""
    nobody = Resources(
        cpu_shares=77,
        cpu_quota=20_000,
        cpu_period=40_000,
        cpuset_cpus="0",
        memory=48 * MIB,
        memory_swap=96 * MIB,
        memory_reservation=8 * MIB,
        pids_limit=33,
        blkio_weight=200,
        throttle_read_bps=((*DISK, 5 * MIB),),
        throttle_write_iops=((240, 77, 1),),
    )
    for start in (Resources(), *(CASES[name][0][0] for name in ("memory_swap", "throttle_read_bps", "cpu_quota"))):
        manager.create(Cgroup(PATH, settings=wanted(manager, start)))
        before = everything(manager)
        if offers(trees_of(manager), "io.max") or offers(trees_of(manager), "blkio.throttle.write_iops_device"):
            with pytest.raises(SystemFault) as caught:
                manager.update(nobody)
            assert caught.value.errno == errno.ENODEV
            assert everything(manager) == before
            manager.update(Resources(**{**nobody._asdict(), "throttle_write_iops": ()}))  # without the fault all of it holds
            assert everything(manager) != before
        manager.remove()


def test_v1_memory_in_use_cannot_be_taken_away(manager: cgroups.Manager) -> None:
    """EBUSY after the other limits were written: they are back. (v2 would reclaim, and kill in the end.)"""
    if not isinstance(manager, v1.Manager):
        return
    manager.create(Cgroup(PATH))
    r, w = os.pipe()

    def holder() -> NoReturn:
        held = bytearray(os.urandom(4096)) * (24 * MIB // 4096)
        os.write(w, b"x")
        signal.pause()
        os._exit(len(held) % 2)

    child = born_in(manager, holder)
    assert os.read(r, 1) == b"x"
    os.close(r)
    os.close(w)
    before = everything(manager)
    manager.update(Resources(memory_swappiness=0))
    with pytest.raises(SystemFault) as caught:
        manager.update(Resources(cpu_shares=99, cpu_quota=50_000, memory=8 * MIB, memory_swap=8 * MIB, pids_limit=5))
    assert caught.value.errno == errno.EBUSY
    assert everything(manager) == {**before, "memory.swappiness": "0\n"}
    manager.kill()
    reap(*child)


def test_two_hundred_updates_end_in_the_last(manager: cgroups.Manager) -> None:
    manager.create(Cgroup(PATH))
    for n in range(200):
        manager.update(Resources(cpu_shares=100 + n, pids_limit=100 + n, memory=(64 + n) * MIB, memory_swap=(128 + n) * MIB))
    last = Resources(cpu_shares=299, pids_limit=299, memory=263 * MIB, memory_swap=327 * MIB)
    for file, value in wanted(manager, last):
        assert shown(manager, file).strip() == value


def test_update_of_a_cgroup_that_is_gone(manager: cgroups.Manager) -> None:
    for act in (lambda: manager.update(Resources(cpu_shares=5)), manager.stats):
        with pytest.raises(SystemFault) as caught:
            act()
        assert caught.value.errno == errno.ENOENT


def test_a_refused_limit_leaves_no_cgroup(manager: cgroups.Manager) -> None:
    """CPUs that the machine has not: the kernel's own refusal, at the start and in use."""
    if "cpuset" not in manager.paths():
        return
    with pytest.raises(SystemFault) as caught:
        manager.create(Cgroup(PATH, settings=(("cpuset.cpus", "0-65536"),)))
    assert caught.value.errno in (errno.EINVAL, errno.ERANGE)
    assert not any(map(os.path.exists, manager.paths().values()))


def test_joined_processes_feel_a_new_cpuset_at_once(manager: cgroups.Manager) -> None:
    if "cpuset" not in manager.paths():
        return
    manager.create(Cgroup(PATH))
    with subprocess.Popen(["sleep", "1000"]) as process:
        manager.join(process.pid)
        assert len(os.sched_getaffinity(process.pid)) == CPUS
        manager.update(Resources(cpuset_cpus=LAST_CPU))
        assert os.sched_getaffinity(process.pid) == {CPUS - 1}
        process.kill()

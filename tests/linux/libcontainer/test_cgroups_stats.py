"""What the limits do to processes, and what `stats` sees of it: both drivers, with the controllers that are there."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import v1
from minidock.libcontainer.cgroups.resources import Resources
from minidock.libcontainer.config import Cgroup
from tests.linux.libcontainer.groups import PATH, born_in, inside, reap, sleeper
from tests.linux.libcontainer.limits import (
    CPUS,
    MIB,
)


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_cpu_time_is_counted(manager: cgroups.Manager) -> None:
    """The kernel's counter against the process's own. The controller is not needed on v2. Nothing before, nothing idle."""
    manager.create(Cgroup(PATH))
    before = manager.stats()
    assert before.cpu_total_ns < 5_000_000
    inside(manager, lambda: burn(0.2))
    after = manager.stats()
    used = after.cpu_total_ns - before.cpu_total_ns
    assert 0.2e9 <= used < 0.3e9
    assert abs(after.cpu_user_ns + after.cpu_system_ns - after.cpu_total_ns) < 25_000_000  # v1 counts them in 10 ms
    if isinstance(manager, v1.Manager):
        assert abs(sum(after.percpu_ns) - after.cpu_total_ns) < 1_000_000
        assert len(after.percpu_ns) >= after.cpus_online == CPUS
    assert manager.stats().cpu_total_ns - after.cpu_total_ns < 1_000_000  # the end of a process is still being counted


def test_throttling_is_counted(manager: cgroups.Manager) -> None:
    manager.create(Cgroup(PATH))
    if "cpu" not in manager.paths():
        return
    inside(manager, lambda: burn(0.05))
    without = manager.stats()
    assert (without.throttled_periods, without.throttled_ns) == (0, 0)
    manager.update(Resources(cpu_quota=5_000, cpu_period=20_000))
    deadline = time.monotonic() + 20  # a machine with much else to do hardly reaches the quota

    def until_throttled() -> None:
        while manager.stats().throttled_periods < 3 and time.monotonic() < deadline:
            burn(0.005)

    inside(manager, until_throttled)
    after = manager.stats()
    assert after.periods >= after.throttled_periods >= 3
    assert after.throttled_ns > 0


def test_memory_is_counted_and_its_limit_kills(manager: cgroups.Manager) -> None:
    manager.create(Cgroup(PATH))
    if "memory" not in manager.paths():
        return

    def eat(mib: int) -> int:
        held = bytearray(os.urandom(4096)) * (mib * MIB // 4096)
        seen = manager.stats()
        assert seen.memory_usage > len(held)
        assert sum(seen.memory_stat[key] for key in ("rss", "anon") if key in seen.memory_stat) > len(held) * 0.9
        return seen.memory_limit

    assert inside(manager, lambda: eat(48)) == -1
    free = manager.stats()
    assert (free.memory_failcnt, free.oom_kills) == (0, 0)
    assert free.memory_max_usage > 48 * MIB > free.memory_usage
    manager.update(Resources(memory=24 * MIB, memory_swap=25 * MIB))
    assert inside(manager, lambda: eat(48)) == -signal.SIGKILL
    after = manager.stats()
    assert (after.memory_limit, after.oom_kills, manager.oom_kills()) == (24 * MIB, 1, 1)
    assert after.memory_failcnt > 0


def test_pids_are_counted_and_limited(manager: cgroups.Manager) -> None:
    manager.create(Cgroup(PATH))
    if "pids" not in manager.paths():
        return
    child = born_in(manager, sleeper)
    assert (manager.stats().pids_current, manager.stats().pids_limit) == (1, -1)
    manager.kill()
    reap(*child)

    def fork() -> int:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        return os.waitpid(pid, 0)[1]

    assert inside(manager, fork) == 0
    manager.update(Resources(pids_limit=1))
    assert inside(manager, fork) == {"errno": errno.EAGAIN}
    assert manager.stats().pids_limit == 1


def test_block_io_is_counted(manager: cgroups.Manager, tmp_path: Path) -> None:
    """Written past the page cache. Where the tests' files are on no disk (tmpfs), there is nothing to count."""
    manager.create(Cgroup(PATH))
    if not {"io", "blkio"} & manager.paths().keys() or os.major(os.stat(tmp_path).st_dev) == 0:
        return

    def write() -> None:
        import mmap

        with mmap.mmap(-1, MIB) as block:
            fd = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
            os.write(fd, block)
            os.close(fd)

    assert manager.stats().blkio == ()
    inside(manager, write)
    written = [count for count in manager.stats().blkio if count.op == "write"]
    assert sum(count.bytes for count in written) >= MIB
    assert sum(count.ios for count in written) >= 1
    assert {(count.major, count.minor) for count in written} <= {
        tuple(map(int, p.read_text().strip().split(":"))) for p in Path("/sys/block").glob("*/dev")
    }

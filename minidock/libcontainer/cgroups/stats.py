"""What a container has used: one sample of the kernel's counters of its cgroup, the same shape from v1 and v2."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from minidock.libcontainer.cgroups.hierarchy import below, read


class BlkioCount(NamedTuple):
    """What was read or written on one block device since the cgroup was made.

    `op` is docker's word in small letters: read, write, discard, and on v1 also sync, async, total. `bytes` and `ios` count
    what went to the device: a page that is still dirty in the cache is not there yet.
    """

    major: int
    minor: int
    op: str
    bytes: int
    ios: int


class Stats(NamedTuple):
    """One sample. Times are ns, sizes bytes; a limit of -1 is none; a counter whose controller is not there is 0.

    cpu_user_ns and cpu_system_ns are shares of cpu_total_ns (on v1 to 10 ms: cpuacct.stat counts in clock ticks).
    percpu_ns: by CPU, v1 only, v2 has no such counter. periods and throttled_periods: of the CPU quota; throttled_ns:
    how long all runnable CPUs together were held back. memory_usage: page cache included. memory_swap_usage: memory and
    swap together. memory_max_usage: the most that memory_usage has been. memory_failcnt: how often the memory limit was
    hit (where v1's limit of memory and swap is the same, that one is hit first, and counts apart). oom_kills: processes
    killed in here and below.
    """

    cpu_total_ns: int = 0
    cpu_user_ns: int = 0
    cpu_system_ns: int = 0
    percpu_ns: tuple[int, ...] = ()
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0
    memory_usage: int = 0
    memory_limit: int = -1
    memory_swap_usage: int = 0
    memory_max_usage: int = 0
    memory_failcnt: int = 0
    memory_stat: Mapping[str, int] = {}
    oom_kills: int = 0
    pids_current: int = 0
    pids_limit: int = -1
    blkio: tuple[BlkioCount, ...] = ()
    cpus_online: int = 1


# cpuacct.stat counts in clock ticks, of which user space always sees 100 a second on Linux (USER_HZ).
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# v1's "no limit": the largest number of pages that a counter holds (PAGE_COUNTER_MAX), in bytes.
_V1_UNLIMITED = (2**63 - 1) // os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PAGE_SIZE")


def sample_v1(paths: Mapping[str, str]) -> Stats:
    """One sample from the v1 directories `paths` (controller → directory). Raises OSError, ENOENT when they are gone."""
    if paths and not any(map(os.path.isdir, paths.values())):
        read(f"{next(iter(paths.values()))}/cgroup.procs")

    def text(file: str) -> str:
        directory = paths.get(file.partition(".")[0])
        return _if_there(f"{directory}/{file}") if directory else ""

    ticks = pairs(text("cpuacct.stat"))
    cpu = pairs(text("cpu.stat"))
    memory = number(text("memory.usage_in_bytes"))
    limit = number(text("memory.limit_in_bytes"), -1)
    return Stats(
        cpu_total_ns=number(text("cpuacct.usage")),
        cpu_user_ns=ticks.get("user", 0) * _TICK_NS,
        cpu_system_ns=ticks.get("system", 0) * _TICK_NS,
        percpu_ns=tuple(map(int, text("cpuacct.usage_percpu").split())),
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_ns=cpu.get("throttled_time", 0),
        memory_usage=memory,
        memory_limit=-1 if limit >= _V1_UNLIMITED else limit,
        memory_swap_usage=number(text("memory.memsw.usage_in_bytes"), memory),
        memory_max_usage=number(text("memory.max_usage_in_bytes")),
        memory_failcnt=number(text("memory.failcnt")),
        memory_stat=pairs(text("memory.stat")),
        oom_kills=oom_kills_v1(paths.get("memory")),
        pids_current=number(text("pids.current")),
        pids_limit=number(text("pids.max"), -1),
        blkio=blkio_v1(text("blkio.throttle.io_service_bytes_recursive"), text("blkio.throttle.io_serviced_recursive")),
        cpus_online=os.sysconf("SC_NPROCESSORS_ONLN"),
    )


def sample_v2(directory: str) -> Stats:
    """One sample from a v2 directory. Raises OSError, ENOENT when it is gone."""
    read(f"{directory}/cgroup.procs")

    def text(file: str) -> str:
        return _if_there(f"{directory}/{file}")

    cpu = pairs(text("cpu.stat"))
    memory = number(text("memory.current"))
    events = pairs(text("memory.events"))
    return Stats(
        cpu_total_ns=cpu.get("usage_usec", 0) * 1000,
        cpu_user_ns=cpu.get("user_usec", 0) * 1000,
        cpu_system_ns=cpu.get("system_usec", 0) * 1000,
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_ns=cpu.get("throttled_usec", 0) * 1000,
        memory_usage=memory,
        memory_limit=number(text("memory.max"), -1),
        memory_swap_usage=memory + number(text("memory.swap.current")),
        memory_max_usage=number(text("memory.peak")),  # since Linux 5.19
        memory_failcnt=events.get("max", 0),
        memory_stat=pairs(text("memory.stat")),
        oom_kills=events.get("oom_kill", 0),
        pids_current=number(text("pids.current")),
        pids_limit=number(text("pids.max"), -1),
        blkio=blkio_v2(text("io.stat")),
        cpus_online=os.sysconf("SC_NPROCESSORS_ONLN"),
    )


def _if_there(path: str) -> str:
    """The text of a control file; "" where the kernel has none by that name."""
    try:
        return read(path)
    except FileNotFoundError:
        return ""


def number(text: str, default: int = 0) -> int:
    """A file of one number. ``max`` is -1; no file is `default`."""
    text = text.strip()
    return -1 if text == "max" else int(text or default)


def pairs(text: str) -> dict[str, int]:
    """A file of lines ``key number`` (cpu.stat, memory.stat, memory.events, memory.oom_control)."""
    return {key: int(value) for key, value in (line.split() for line in text.splitlines())}


def oom_kills_v1(directory: str | None) -> int:
    """The sum of ``oom_kill`` in memory.oom_control here and below: v1 counts where the victim was."""
    return sum(pairs(_if_there(f"{d}/memory.oom_control")).get("oom_kill", 0) for d in below(directory)) if directory else 0


def oom_kills_v2(directory: str) -> int:
    """``oom_kill`` of memory.events, which counts this cgroup and those below."""
    return pairs(_if_there(f"{directory}/memory.events")).get("oom_kill", 0)


def blkio_v1(service_bytes: str, serviced: str) -> tuple[BlkioCount, ...]:
    """Lines ``8:0 Read 4096`` of blkio.throttle.io_service_bytes_recursive and the same of io_serviced_recursive.

    The throttle's counters count for every scheduler and without any limit (block/blk-throttle.c).
    """
    ios = dict(_v1_lines(serviced))
    return tuple(BlkioCount(*key, count, ios.get(key, 0)) for key, count in _v1_lines(service_bytes))


def _v1_lines(text: str) -> list[tuple[tuple[int, int, str], int]]:
    rows = (line.split() for line in text.splitlines())
    return [((*_device(row[0]), row[1].lower()), int(row[2])) for row in rows if len(row) == 3]  # the last line is a total


def blkio_v2(io_stat: str) -> tuple[BlkioCount, ...]:
    """Lines ``8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`` of io.stat; a device that did nothing has no numbers."""
    found = []
    for line in io_stat.splitlines():
        device, *fields = line.split()
        values = dict(f.partition("=")[::2] for f in fields)
        for op, letter in (("read", "r"), ("write", "w"), ("discard", "d")):
            if f"{letter}bytes" in values:
                found.append(BlkioCount(*_device(device), op, int(values[f"{letter}bytes"]), int(values[f"{letter}ios"])))
    return tuple(found)


def _device(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(":")
    return int(major), int(minor)

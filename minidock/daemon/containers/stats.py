"""``stats``: what a container uses of the machine, read off its cgroup and its network interfaces.

::

    sample ───────────── window ───────────── sample          docker's clients compute from one answer:
    preread, precpu_stats                     read, cpu_stats
                                                              CPU %  = Δ total_usage / Δ system_cpu_usage × online_cpus × 100
                                                              memory = usage − inactive_file (v1: total_inactive_file)

The answer's shape is the Engine API's (1.41, ``GET /containers/{id}/stats``; the fields of cgroup v1 or v2, whichever is here).
``system_cpu_usage`` is the time that all online CPUs had, idle or not. dockerd adds up the ``cpu`` line of /proc/stat, which
counts in ticks of 10 ms; we take the clock times the number of CPUs, the same quantity in nanoseconds, because in our short
window a tick would be a tenth. Source for the rest: moby v20.10 ``daemon/stats_unix.go``, ``daemon/stats/collector.go``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minidock.daemon.base import proc, verb
from minidock.daemon.base.timestamps import ZERO, now
from minidock.daemon.record.names import lookup
from minidock.errors import SystemFault
from minidock.linux.files import read_small

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.record.container import Container
    from minidock.execdriver.cgroups import Stats

INTERVAL = 1.0  # seconds between two samples of a stream, docker's
# Seconds between the two samples of a single answer; docker takes one. A tenth is the usual period of a CPU quota, so that a
# container which is held back in it shows its quota and not the part of the period that was looked at.
WINDOW = 0.1
_NO_CPU: dict[str, Any] = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}
_BLOCK_LISTS = ("service_bytes", "serviced", "queue", "service_time", "wait_time", "merged", "time")
_NO_BLOCK_IO: dict[str, Any] = {**{f"io_{name}_recursive": None for name in _BLOCK_LISTS}, "sectors_recursive": None}
_COUNTERS = ("bytes", "packets", "errors", "dropped")


@verb.stream
def stats(engine: Engine, ref: str, *, stream: bool = True, one_shot: bool = False) -> Iterator[dict[str, Any]]:
    """Samples in the Engine API's shape: with `stream` one a second until the container is removed, else a single one.

    A single one is taken at the end of a window of 0.1 s (from ``preread`` to ``read``), or with `one_shot` at once; then its
    ``precpu_stats`` are zero, as the first ones of a stream are. While the container does not run all figures are missing
    or zero, as with docker. Raises ContainerNotFound, at once.
    """
    sampler = Sampler(lookup(engine, ref))
    if stream:
        return _stream(sampler)
    first = sampler.take()
    if one_shot or first["read"] == ZERO:
        return iter((joined(first, None),))
    time.sleep(WINDOW)
    return iter((joined(sampler.take(), first),))


def _stream(sampler: Sampler) -> Iterator[dict[str, Any]]:
    before = None
    while sampler.exists():
        due = tick(time.monotonic())
        sample = sampler.take()
        yield joined(sample, before)
        before = sample
        time.sleep(max(0.0, due - time.monotonic()))


def tick(clock: float) -> float:
    """When a stream's next sample is due: the full second of the clock that is nearest to a second from now.

    So all streams of a program fall due at once, and a hundred of them wake it once a second instead of a hundred times.
    """
    return round(clock / INTERVAL + 1) * INTERVAL


class Sampler:
    """Takes samples of one container. What stays the same between two of them is looked up once: a sample must be cheap."""

    def __init__(self, container: Container) -> None:
        from minidock.execdriver import cgroups

        self._container = container
        self._group = cgroups.manager(container.cgroup)
        self._machine_memory = machine_memory(read_small("/proc/meminfo").decode())
        self._process = (0, 0)
        self._network = (0, False)  # the pid that was looked at, and the answer

    def exists(self) -> bool:
        """False once the container was removed."""
        return self._container.directory.exists()

    def take(self) -> dict[str, Any]:
        """One sample, without what concerns the one before it (see `joined`). Raises SystemFault."""
        pid = self._pid()
        if pid:
            try:
                return self._running(pid)
            except (OSError, SystemFault):
                if self._pid() == pid:
                    raise
                # else it ended while we looked
        return {"read": ZERO, "pids_stats": {}, "blkio_stats": _NO_BLOCK_IO, "cpu_stats": _NO_CPU, "memory_stats": {},
                **self._identity()}  # fmt: skip

    def _pid(self) -> int:
        """The container's first process, 0 when it does not run. One small file is read while nothing changes."""
        if not proc.alive(*self._process):
            state = self._container.state()
            self._process = (state.pid, state.pid_start) if state.running else (0, 0)
        return self._process[0]

    def _running(self, pid: int) -> dict[str, Any]:
        read, clock = now(), time.monotonic_ns()
        used = self._group.stats()
        sample = {
            "read": read,
            "pids_stats": pids(used),
            "blkio_stats": block_io(used),
            "cpu_stats": cpu(used, clock),
            "memory_stats": memory(used, self._machine_memory),
            **self._identity(),
        }
        interfaces = network_counters(read_small(f"/proc/{pid}/net/dev").decode()) if self._own_network(pid) else {}
        return sample | {"networks": interfaces} if interfaces else sample

    def _own_network(self, pid: int) -> bool:
        """Whether its interfaces are its own: the host's are not counted as a container's, as with docker."""
        if pid != self._network[0]:
            self._network = pid, not os.path.samefile(f"/proc/{pid}/ns/net", "/proc/self/ns/net")
        return self._network[1]

    def _identity(self) -> dict[str, Any]:
        return {"name": f"/{self._container.name}", "id": self._container.id, "num_procs": 0, "storage_stats": {}}


def joined(sample: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """`sample` with the CPU figures and the time of the sample `before` it, the Engine API's answer."""
    return {
        **sample,
        "preread": before["read"] if before else ZERO,
        "precpu_stats": before["cpu_stats"] if before else _NO_CPU,
    }


def cpu(used: Stats, clock: int) -> dict[str, Any]:
    """``cpu_stats``, all times in nanoseconds; `clock` is the monotonic clock's when the counters were read."""
    usage: dict[str, Any] = {
        "total_usage": used.cpu_total_ns,
        "usage_in_kernelmode": used.cpu_system_ns,
        "usage_in_usermode": used.cpu_user_ns,
    }
    if used.percpu_ns:  # v2 does not count them one by one
        usage["percpu_usage"] = list(used.percpu_ns)
    return {
        "cpu_usage": usage,
        "system_cpu_usage": clock * used.cpus_online,
        "online_cpus": used.cpus_online,
        "throttling_data": {
            "periods": used.periods,
            "throttled_periods": used.throttled_periods,
            "throttled_time": used.throttled_ns,
        },
    }


def memory(used: Stats, machine: int) -> dict[str, Any]:
    """``memory_stats`` in bytes. Without a limit of its own the container's limit is the machine's memory, as with docker."""
    limit = used.memory_limit if 0 < used.memory_limit < machine else machine
    return {
        "usage": used.memory_usage,
        "max_usage": used.memory_max_usage,
        "limit": limit,
        "failcnt": used.memory_failcnt,
        "stats": used.memory_stat,
    }


def machine_memory(meminfo: str) -> int:
    """All memory in bytes, from the text of /proc/meminfo."""
    return next(int(line.split()[1]) for line in meminfo.splitlines() if line.startswith("MemTotal:")) * 1024


def pids(used: Stats) -> dict[str, Any]:
    """``pids_stats``: how many tasks, and how many there may be if that is limited."""
    return {"current": used.pids_current} | ({"limit": used.pids_limit} if used.pids_limit > 0 else {})


def block_io(used: Stats) -> dict[str, Any]:
    """``blkio_stats``: bytes and operations by device and direction, which v1 writes with a capital letter and v2 without.

    The other lists were the CFQ scheduler's, gone since Linux 5.0.
    """
    v1 = bool(used.percpu_ns)
    devices = [
        ({"major": major, "minor": minor, "op": op.capitalize() if v1 else op}, size, ios)
        for major, minor, op, size, ios in used.blkio
    ]
    return {
        **_NO_BLOCK_IO,
        "io_service_bytes_recursive": [{**device, "value": size} for device, size, _ in devices],
        "io_serviced_recursive": [{**device, "value": ios} for device, _, ios in devices],
    }


def network_counters(text: str) -> dict[str, dict[str, int]]:
    """``networks`` from the text of /proc/PID/net/dev (proc_pid_net(5)): interface → counters; without the loopback."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, columns = line.partition(":")
        numbers = [int(column) for column in columns.split()]
        if name.strip() != "lo":
            received, sent = numbers[:4], numbers[8:12]
            found[name.strip()] = {f"rx_{counter}": value for counter, value in zip(_COUNTERS, received, strict=True)} | {
                f"tx_{counter}": value for counter, value in zip(_COUNTERS, sent, strict=True)
            }
    return found

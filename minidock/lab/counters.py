"""What the kernel counted for one container: its cgroup's own files, read by us, never `top`'s text.

A value is read at both ends of a window and subtracted; what the kernel added in between is what was used, with no sampling
error in it. The files (Documentation/admin-guide/cgroup-v1/ and cgroup-v2.rst in the kernel)::

    key of a row                  cgroup v1                                    cgroup v2
    cpu_ns user_ns system_ns      cpuacct.usage, usage_user, usage_sys         cpu.stat: usage_usec, user_usec, system_usec
    periods throttled             cpu.stat: nr_periods, nr_throttled           cpu.stat: the same
    throttled_ns                  cpu.stat: throttled_time                     cpu.stat: throttled_usec
    percpu_ns                     cpuacct.usage_percpu                         (no such counter; see `processors`)
    memory memory_peak            memory.usage_in_bytes, max_usage_in_bytes    memory.current, memory.peak
    swap memsw                    memory.stat: total_swap; memsw.usage_in_…    memory.swap.current; the sum of both
    failcnt memsw_failcnt         memory.failcnt, memory.memsw.failcnt         memory.events: max; swap.events: max
    oom_kills                     memory.oom_control: oom_kill                 memory.events: oom_kill
    anon file dirty writeback     memory.stat: total_rss, total_cache, …       memory.stat: anon, file, file_dirty, …
    read_bytes write_bytes        blkio.throttle.io_service_bytes              io.stat: rbytes, wbytes
    read_ios write_ios            blkio.throttle.io_serviced                   io.stat: rios, wios
    pids                          pids.current                                 pids.current
    idle_ns                       /proc/stat: idle and iowait of every CPU of the machine, a list; to 10 ms
    app_read_bytes app_write_…    /proc/PID/io of the processes inside: rchar, wchar (what programs asked for, cache or disk)

Bytes, nanoseconds and counts throughout. A file that this kernel does not have leaves its key out. `Group.held` reads the
limits in the same way: what the kernel *holds* is what a measurement is compared with.

It works for any engine that names a cgroup by the container's full id: minidock (``/minidock/<id>``), docker with either
cgroup driver (``/docker/<id>``, ``/system.slice/docker-<id>.scope``).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minidock.libcontainer.cgroups.hierarchy import Hierarchy, hierarchies, pids_below, read, unified
from minidock.libcontainer.cgroups.stats import BlkioCount, blkio_v1, blkio_v2, pairs

Values = dict[str, Any]
EVERYTHING = ("cpu", "percpu", "memory", "blkio", "pids", "io", "idle")

# Keys that only grow: a window has what was added. The others are levels: a window has what they were at its end.
GROWING = frozenset({
    "cpu_ns", "user_ns", "system_ns", "periods", "throttled", "throttled_ns", "percpu_ns", "failcnt", "memsw_failcnt",
    "oom_kills", "major_faults", "read_bytes", "write_bytes", "read_ios", "write_ios",
    "app_read_bytes", "app_write_bytes", "idle_ns",
})  # fmt: skip
_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")  # nanoseconds of a clock tick
_NO_LIMIT = 1 << 60  # v1 says "no limit" with the largest multiple of a page (9223372036854771712)


@dataclass(frozen=True)
class Group:
    """One container's cgroup: its `version` (1 or 2) and controller → directory (on v2 the same one for each)."""

    version: int
    directories: Mapping[str, str]

    def read(self, *sample: str) -> Values:
        """The counters of these groups (of EVERYTHING; default all), with ``at_ns``, CLOCK_MONOTONIC when it began.

        Raises FileNotFoundError when the cgroup is gone: its container has ended.
        """
        values: Values = {"at_ns": time.monotonic_ns()}
        for name in sample or EVERYTHING:
            reader = _READERS[name][self.version - 1]
            if (directory := self.directories.get(_CONTROLLER[name][self.version - 1])) is not None:
                values |= reader(directory, self.directories)
        return values

    def held(self) -> Values:
        """The limits the kernel holds; None is no limit. ``weight`` is cpu.shares on v1 and cpu.weight on v2; ``cpus`` a list.

        Keys: weight, quota_us, period_us, cpus, memory_limit, memsw_limit, reservation, pids_limit, and ``throttle``, a dict
        of "MAJOR:MINOR rbps" (wbps, riops, wiops) → rate.
        """
        values: Values = {}
        for controller, reader in _HELD[self.version - 1].items():
            if (directory := self.directories.get(controller)) is not None:
                values |= reader(directory)
        return values

    def pids(self) -> list[int]:
        """The processes inside, as the host numbers them."""
        return pids_below(next(iter(self.directories.values())))


def group(container: Any) -> Group:
    """The cgroup of a running container, given as its object (anything with an ``id``) or as its full id.

    Raises FileNotFoundError when there is no cgroup of that name, up to four levels below the roots.
    """
    name = container if isinstance(container, str) else str(container.id)
    trees = hierarchies()
    tree = unified(trees)
    roots = _roots(trees, tree)
    below = next((p for root in dict.fromkeys(roots.values()) if (p := _find(root, name)) is not None), None)
    if below is None:
        raise FileNotFoundError(2, "no cgroup of this container", name)
    there = {c: f"{root}/{below}" for c, root in roots.items()}
    return Group(2 if tree else 1, {c: path for c, path in there.items() if os.path.isdir(path)})


def counters(container: Any, *sample: str) -> Values:
    """`Group.read` of a running container, at once."""
    return group(container).read(*sample)


def difference(before: Values, after: Values) -> Values:
    """What a window holds: the growth of what grows, the last value of what does not, and ``seconds``, its exact length."""
    window: Values = {"seconds": (after["at_ns"] - before["at_ns"]) / 1e9}
    for key, value in after.items():
        if isinstance(value, list):
            window[key] = [b - a for a, b in zip(before[key], value, strict=True)]
        elif key in GROWING:
            window[key] = value - before[key]
        elif key != "at_ns":
            window[key] = value
    return window


def processors(pids: Iterable[int]) -> Counter[int]:
    """On which CPU each runnable thread of `pids` is now: the fields ``state`` and ``processor`` of /proc/PID/task/TID/stat.

    The stand-in for v1's cpuacct.usage_percpu, which v2 has no counterpart of: a sample, and a row says so.
    """
    seen: Counter[int] = Counter()
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with suppress(FileNotFoundError, ProcessLookupError):
                    fields = read(f"/proc/{pid}/task/{thread}/stat").rpartition(")")[2].split()
                    if fields[0] == "R":
                        seen[int(fields[36])] += 1  # field 39, counted from the state, which is field 3
    return seen


def device(path: str | Path) -> tuple[str, str]:
    """The whole disk that holds `path`: ("/dev/vda", "254:0"). Limits are set on disks, not on partitions.

    Raises FileNotFoundError when `path` is on no block device (tmpfs, overlay, a network).
    """
    number = os.stat(path).st_dev
    node = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve(strict=True)
    if (node / "partition").exists():
        node = node.parent
    return f"/dev/{node.name}", (node / "dev").read_text().strip()


def number(node: str | Path) -> str:
    """ "MAJOR:MINOR" of a block device's node ("/dev/loop0" → "7:0"). Raises FileNotFoundError."""
    found = os.stat(node).st_rdev
    return f"{os.major(found)}:{os.minor(found)}"


def _roots(trees: list[Hierarchy], tree: Hierarchy | None) -> dict[str, str]:
    if tree:
        return {"": tree.mountpoint}
    return {c: h.mountpoint for h in trees if h.version == 1 for c in h.controllers}


def _find(root: str, name: str) -> str | None:
    """Where below `root` the cgroup of the container `name` is, as a relative path."""
    for depth in ("", "*/", "*/*/", "*/*/*/"):
        for pattern in (f"{depth}{name}", f"{depth}docker-{name}.scope"):
            for path in Path(root).glob(pattern):
                return str(path.relative_to(root))
    return None


def _number(path: str) -> int | None:
    """A file with one number; None for ``max`` and for v1's largest one. Raises OSError."""
    text = read(path).strip()
    value = None if text == "max" else int(text)
    return None if value is None or value >= _NO_LIMIT else value


def _numbers(files: Mapping[str, str]) -> Values:
    """Key → the number in its file, for the files that this kernel has."""
    values: Values = {}
    for key, path in files.items():
        with suppress(FileNotFoundError):
            values[key] = _number(path)
    return values


def _chosen(found: Mapping[str, int], names: Mapping[str, str], factor: int = 1) -> Values:
    return {key: found[name] * factor for key, name in names.items() if name in found}


def _cpu_v1(directory: str, directories: Mapping[str, str]) -> Values:
    account = directories["cpuacct"]
    files = {"cpu_ns": "cpuacct.usage", "user_ns": "cpuacct.usage_user", "system_ns": "cpuacct.usage_sys"}
    values = {"cpu_ns": int(read(f"{account}/cpuacct.usage"))}
    values |= _numbers({key: f"{account}/{name}" for key, name in files.items() if key != "cpu_ns"})
    names = {"periods": "nr_periods", "throttled": "nr_throttled", "throttled_ns": "throttled_time"}
    return values | _chosen(pairs(read(f"{directory}/cpu.stat")), names)


def _cpu_v2(directory: str, _: Mapping[str, str]) -> Values:
    found = pairs(read(f"{directory}/cpu.stat"))
    times = {"cpu_ns": "usage_usec", "user_ns": "user_usec", "system_ns": "system_usec", "throttled_ns": "throttled_usec"}
    return _chosen(found, times, 1000) | _chosen(found, {"periods": "nr_periods", "throttled": "nr_throttled"})


def _percpu_v1(directory: str, _: Mapping[str, str]) -> Values:
    return {"percpu_ns": [int(n) for n in read(f"{directory}/cpuacct.usage_percpu").split()]}


def _memory_v1(directory: str, _: Mapping[str, str]) -> Values:
    values: Values = {"memory": int(read(f"{directory}/memory.usage_in_bytes"))}
    values |= _numbers({
        "memory_peak": f"{directory}/memory.max_usage_in_bytes",
        "memsw": f"{directory}/memory.memsw.usage_in_bytes",
        "failcnt": f"{directory}/memory.failcnt",
        "memsw_failcnt": f"{directory}/memory.memsw.failcnt",
    })  # fmt: skip
    names = {"swap": "total_swap", "anon": "total_rss", "file": "total_cache", "dirty": "total_dirty",
             "writeback": "total_writeback", "major_faults": "total_pgmajfault"}  # fmt: skip
    values |= _chosen(pairs(read(f"{directory}/memory.stat")), names)
    return values | _chosen(pairs(read(f"{directory}/memory.oom_control")), {"oom_kills": "oom_kill"})


def _memory_v2(directory: str, _: Mapping[str, str]) -> Values:
    values: Values = {"memory": int(read(f"{directory}/memory.current"))}
    values |= _numbers({"memory_peak": f"{directory}/memory.peak", "swap": f"{directory}/memory.swap.current"})
    values["memsw"] = values["memory"] + values.get("swap", 0)
    names = {"anon": "anon", "file": "file", "dirty": "file_dirty", "writeback": "file_writeback", "major_faults": "pgmajfault"}
    values |= _chosen(pairs(read(f"{directory}/memory.stat")), names)
    values |= _chosen(pairs(read(f"{directory}/memory.events")), {"failcnt": "max", "oom_kills": "oom_kill"})
    with suppress(FileNotFoundError):
        values |= _chosen(pairs(read(f"{directory}/memory.swap.events")), {"memsw_failcnt": "max"})
    return values


def _blkio_v1(directory: str, _: Mapping[str, str]) -> Values:
    names = ("blkio.throttle.io_service_bytes", "blkio.throttle.io_serviced")
    return _operations(blkio_v1(*(read(f"{directory}/{name}") for name in names)))


def _blkio_v2(directory: str, _: Mapping[str, str]) -> Values:
    return _operations(blkio_v2(read(f"{directory}/io.stat")))


def _operations(counts: Iterable[BlkioCount]) -> Values:
    """All devices together."""
    values = dict.fromkeys(("read_bytes", "write_bytes", "read_ios", "write_ios"), 0)
    for count in counts:
        if count.op in ("read", "write"):
            values[f"{count.op}_bytes"] += count.bytes
            values[f"{count.op}_ios"] += count.ios
    return values


def _pids(directory: str, _: Mapping[str, str]) -> Values:
    return {"pids": int(read(f"{directory}/pids.current"))}


def _io(directory: str, _: Mapping[str, str]) -> Values:
    """What the programs read and wrote. A parent's figures include those of the children it has waited for (proc_pid_io(5))."""
    values = {"app_read_bytes": 0, "app_write_bytes": 0}
    for pid in pids_below(directory):
        with suppress(FileNotFoundError, ProcessLookupError):
            text = dict(line.split(": ") for line in read(f"/proc/{pid}/io").splitlines())
            values["app_read_bytes"] += int(text["rchar"])
            values["app_write_bytes"] += int(text["wchar"])
    return values


def _idle(_directory: str, _: Mapping[str, str]) -> Values:
    """How long each CPU had nothing to do, since boot (proc_stat(5)): who is held back by others only, leaves none idle."""
    lines = (line.split() for line in read("/proc/stat").splitlines())
    ticks = [int(fields[4]) + int(fields[5]) for fields in lines if fields[0].startswith("cpu") and fields[0] != "cpu"]
    return {"idle_ns": [n * _TICK for n in ticks]}


def _nothing(_directory: str, _: Mapping[str, str]) -> Values:
    return {}


Reader = Callable[[str, Mapping[str, str]], Values]
_READERS: dict[str, tuple[Reader, Reader]] = {
    "cpu": (_cpu_v1, _cpu_v2),
    "percpu": (_percpu_v1, _nothing),
    "memory": (_memory_v1, _memory_v2),
    "blkio": (_blkio_v1, _blkio_v2),
    "pids": (_pids, _pids),
    "io": (_io, _io),
    "idle": (_idle, _idle),
}
_CONTROLLER = {
    "cpu": ("cpu", ""),
    "percpu": ("cpuacct", ""),
    "memory": ("memory", ""),
    "blkio": ("blkio", ""),
    "pids": ("pids", ""),
    "io": ("pids", ""),
    "idle": ("cpu", ""),
}


def _held_cpu_v1(directory: str) -> Values:
    values = _numbers({"weight": f"{directory}/cpu.shares", "period_us": f"{directory}/cpu.cfs_period_us"})
    quota = _numbers({"quota_us": f"{directory}/cpu.cfs_quota_us"})
    return values | {key: None if value == -1 else value for key, value in quota.items()}


def _held_cpuset(directory: str) -> Values:
    name = "cpuset.cpus.effective" if os.path.exists(f"{directory}/cpuset.cpus.effective") else "cpuset.cpus"
    return {"cpus": cpu_list(read(f"{directory}/{name}"))}


def _held_memory_v1(directory: str) -> Values:
    return _numbers({
        "memory_limit": f"{directory}/memory.limit_in_bytes",
        "memsw_limit": f"{directory}/memory.memsw.limit_in_bytes",
        "reservation": f"{directory}/memory.soft_limit_in_bytes",
    })  # fmt: skip


def _held_blkio_v1(directory: str) -> Values:
    files = {"rbps": "read_bps", "wbps": "write_bps", "riops": "read_iops", "wiops": "write_iops"}
    throttle = {}
    for key, name in files.items():
        for line in read(f"{directory}/blkio.throttle.{name}_device").splitlines():
            number, _, rate = line.partition(" ")
            throttle[f"{number} {key}"] = int(rate)
    return {"throttle": throttle}


def _held_pids(directory: str) -> Values:
    return {"pids_limit": _number(f"{directory}/pids.max")}


def _held_v2(directory: str) -> Values:
    values = _numbers({
        "weight": f"{directory}/cpu.weight",
        "memory_limit": f"{directory}/memory.max",
        "reservation": f"{directory}/memory.low",
        "swap_limit": f"{directory}/memory.swap.max",
        "pids_limit": f"{directory}/pids.max",
    })  # fmt: skip
    swap = values.pop("swap_limit", None)
    if "memory_limit" in values:
        both = values["memory_limit"] is not None and swap is not None
        values["memsw_limit"] = values["memory_limit"] + swap if both else None
    with suppress(FileNotFoundError):
        quota, period = read(f"{directory}/cpu.max").split()
        values |= {"quota_us": None if quota == "max" else int(quota), "period_us": int(period)}
    with suppress(FileNotFoundError):
        values |= _held_cpuset(directory)
    with suppress(FileNotFoundError):
        values["throttle"] = {
            f"{line.split()[0]} {name}": int(rate)
            for line in read(f"{directory}/io.max").splitlines()
            for name, _eq, rate in (field.partition("=") for field in line.split()[1:])
            if rate != "max"
        }
    return values


_HELD: tuple[dict[str, Callable[[str], Values]], dict[str, Callable[[str], Values]]] = (
    {"cpu": _held_cpu_v1, "cpuset": _held_cpuset, "memory": _held_memory_v1, "blkio": _held_blkio_v1, "pids": _held_pids},
    {"": _held_v2},
)


def cpu_list(text: str) -> list[int]:
    """``"0-2,5"`` → [0, 1, 2, 5], as cpuset.cpus writes it (cpuset(7), "List format")."""
    numbers: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers

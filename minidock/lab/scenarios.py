"""Experiments ready to run: each limit of docker's with a load that strains it, and what is promised of it.

Every function returns an `Experiment` (data, nothing has run), whose goal takes the expected value from what the kernel held
while it ran. Its ``without_limits()`` is the negative control. Names follow docker's options; durations in seconds, sizes in
bytes.

========================  ========================================================  ===========================================
`shares_on_one_core`      contenders pinned to one core                             CPU-time ratio = ratio of the weights
`shares_unpinned`         the same on all cores                                     the same, with its spread
`alone`                   one container with few shares and nobody beside it        it leaves no CPU time idle
`pinned`                  two burners per core, cpuset of one core                  99.5 % of its time is on that core
`quota`                   a CPU burner under cpu_quota and cpu_period               cores used = quota ÷ period
`memory`                  memory that grows, window by window                       the peak is the limit, to the page
`disk`                    dd on a directory of the host                             bytes (or operations) a second = the limit
========================  ========================================================  ===========================================
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minidock.lab import counters
from minidock.lab.experiment import BURN, Experiment, Goal, Load
from minidock.lab.measure import Row
from minidock.lab.verdicts import Promise

PAGE = os.sysconf("SC_PAGE_SIZE")
CHARGE_BATCH = 64  # pages: the kernel charges a cgroup in batches (MEMCG_CHARGE_BATCH, include/linux/memcontrol.h)


def burners(count: int) -> tuple[str, ...]:
    """A command that keeps `count` CPUs busy: so many endless loops of the shell."""
    if count == 1:
        return BURN
    return ("sh", "-c", f"for i in $(seq {count - 1}); do while :; do :; done & done; while :; do :; done")


def shares_on_one_core(*values: int | None, core: int = 0, tolerance: float | None = None, name: str = "") -> Experiment:
    """Containers of these cpu_shares (None: not given) that all want the CPU `core`, and no other.

    Judged is the CPU time of the first in units of the last one's: within 5 % of the ratio that the kernel holds, and 1.0 ± 0.1
    when no shares are given.
    """
    margin = tolerance if tolerance is not None else (0.05 if any(values) else 0.1)
    fixed = {"cpuset_cpus": str(core)}
    loads = [Load(n, BURN, {"cpu_shares": v} if v else {}, fixed=fixed) for n, v in zip(_names(values), values, strict=True)]
    return Experiment(name or f"shares-{_joined(values)}-one-core", loads, goal=ratio_goal(loads, margin))


def shares_unpinned(*values: int | None, processes: int | None = None, tolerance: float = 0.05, name: str = "") -> Experiment:
    """The same contenders on all CPUs, each with `processes` burners (default: one per CPU; 1 shows that two containers on two
    CPUs do not contend at all)."""
    command = burners(processes or os.cpu_count() or 1)
    loads = [Load(n, command, {"cpu_shares": v} if v else {}) for n, v in zip(_names(values), values, strict=True)]
    return Experiment(name or f"shares-{_joined(values)}-unpinned", loads, goal=ratio_goal(loads, tolerance))


def alone(shares: int = 50, *, core: int | None = 0, name: str = "") -> Experiment:
    """One container with few shares and no contender: on the CPU `core`, or with None on all of them, one burner each.

    Promised: of the time that it used or nobody used, it has at least 95 %. What the machine's other work takes there spoils
    nothing. (Its ``cores`` are in the rows.)
    """
    cpus = [core] if core is not None else list(range(os.cpu_count() or 1))
    fixed = {} if core is None else {"cpuset_cpus": str(core)}
    promise = Promise(f"{shares} shares, alone, leave less than 5 % idle", low=0.95)

    def taken(rows: list[Row]) -> float:
        idle = sum(r["idle_ns"][cpu] for r in rows for cpu in cpus)
        used = sum(r["cpu_ns"] for r in rows)
        return float(used / (used + idle))

    load = Load("alone", burners(len(cpus)), {"cpu_shares": shares}, fixed=fixed)
    return Experiment(name or "alone", [load], ("cpu", "idle"), goal=Goal(taken, lambda _rows: promise, "share of the time"))


def pinned(core: int = 0, *, processes: int | None = None, name: str = "") -> Experiment:
    """More burners than the one core that the container may use. Promised: 99.5 % of its CPU time on that core.

    Two for each CPU of the machine (or `processes`): without the limit, chance does not gather them on one.
    The rows' ``percpu_source`` says whether the kernel counted it (v1) or the `processor` fields were sampled (v2).
    """
    load = Load("pinned", burners(processes or 2 * (os.cpu_count() or 1)), {"cpuset_cpus": str(core)})
    text = f"99.5 % of the CPU time on CPU {core}"

    def on_core(rows: list[Row]) -> float:
        return statistics.fmean(r["percpu_ns"][core] / sum(r["percpu_ns"]) for r in rows)

    goal = Goal(on_core, lambda _rows: Promise(text, low=0.995), "share of the CPU time")
    return Experiment(name or f"cpuset-{core}", [load], sample=("cpu", "percpu"), goal=goal)


def quota(cores: float = 0.5, *, period_us: int = 100_000, processes: int | None = None, name: str = "") -> Experiment:
    """A burner under ``cpu_quota`` = `cores` · `period_us`. Promised: it uses that much, within 3 %.

    The window is a whole number of periods, so that where in its period it begins does not matter. A window in which others
    left it so little that it was not throttled in every period says nothing of the quota, and does not count.
    """
    limits = {"cpu_period": period_us, "cpu_quota": round(cores * period_us)}
    periods = math.ceil(1e6 / period_us)
    load = Load("quota", burners(processes or math.ceil(cores)), limits)

    def promise(rows: list[Row]) -> Promise:
        first = next(r for r in rows if not r.get("ended"))
        held = first["quota_us"] / first["period_us"]
        return Promise.near(f"{held:g} of a core within 3 %", held, 0.03)

    def throttled(rows: list[Row]) -> bool:
        alive = bool(rows) and not any(r.get("ended") for r in rows)  # one that has ended tells nothing of its quota
        return alive and all(r["quota_us"] is None or r["throttled"] >= r["periods"] - 1 for r in rows)

    goal = Goal(lambda rows: of(rows, "cores"), promise, "cores", throttled)
    return Experiment(name or f"quota-{cores:g}", [load], seconds=periods * period_us / 1e6, goal=goal)


def grow(total: int, *, step: int = 4 << 20, pause: float = 0.05, stay: int = 60, outlive: bool = False) -> tuple[str, ...]:
    """A command whose anonymous memory grows by `step` bytes every `pause` seconds up to `total`, then stays (`stay` seconds).

    ``tail`` must hold the last bytes of what it reads, so it holds them all: a hog that every image with a shell has. It is the
    container's first process: when the kernel kills it for lack of memory, the container ends with 137. With `outlive` it is a
    child, and the container lives on, so that its counters can still be read.
    """
    steps = math.ceil(total / step)
    feed = f"for i in $(seq {steps}); do head -c {step} /dev/zero || exit; usleep {round(pause * 1e6)}; done; sleep {stay}"
    hog = f"tail -c {steps * step} /tmp/feed > /dev/null"
    last = f"{hog}; sleep {stay}" if outlive else f"exec {hog}"
    return ("sh", "-c", f"mkfifo /tmp/feed; ({feed}) > /tmp/feed & {last}")


def at_once(total: int, *, wait: float = 0.2, stay: int = 60, outlive: bool = False) -> tuple[str, ...]:
    """A command that wants `total` bytes in one go, after `wait` seconds in which its counters can be read for the first time.

    dd reads into one block of that size, and it is the kernel that fills it: an emulated machine, too, is there in a moment.
    It holds the block for `stay` seconds, as nobody reads what it wants to write. `outlive` as in `grow`.
    """
    hog = f"dd if=/dev/zero of=/tmp/feed bs={total} count=1"
    last = f"{hog}; sleep {stay}" if outlive else f"exec {hog}"
    return ("sh", "-c", f"mkfifo /tmp/feed; sleep {stay} < /tmp/feed & usleep {round(wait * 1e6)}; {last}")


def memory(
    limit: int,
    *,
    swap: int | None = None,
    total: int | None = None,
    command: Sequence[str] | None = None,
    image: str = "busybox",
    seconds: float = 3.0,
    every: float = 0.1,
    outlive: bool = True,
    name: str = "",
    **limits: Any,
) -> Experiment:
    """Memory over time against ``mem_limit=limit``: one round is `seconds` long and has a window `every` so often.

    `swap` is memswap_limit: memory *and* swap (None: docker's default, twice the limit; -1: no limit). The load grows to
    `total` (default: one and a half times the limit; `outlive` as in `grow`: the peak of a container that has ended cannot be
    read any more), or is your own `command` (``stress --vm``, in the image "lab"). Promised: the peak is the limit, to the
    page, which the kernel reaches from below in batches of 64. A round that never met the limit does not count.
    """
    asked = {"mem_limit": limit, **({} if swap is None else {"memswap_limit": swap}), **limits}
    windows = max(1, round(seconds / every))
    own = command or grow(total or limit * 3 // 2, step=max(PAGE, limit // 10), pause=seconds / 60, outlive=outlive)

    def peak(rows: list[Row]) -> float:
        return float(max(r["memory_peak"] for r in rows if not r.get("ended")) / PAGE)

    def promise(rows: list[Row]) -> Promise:
        held = next(r["memory_limit"] for r in rows if not r.get("ended")) // PAGE
        return Promise(f"the peak is the limit of {held} pages", held - CHARGE_BATCH - 0.5, held + 0.5)

    def reached(rows: list[Row]) -> bool:
        hits = sum(r.get(key, 0) for r in rows for key in ("failcnt", "memsw_failcnt", "oom_kills"))
        return hits > 0 or rows[0].get("memory_limit", 0) is None

    return Experiment(
        name or f"memory-{limit >> 20}m", [Load("memory", own, asked, image)],
        sample=("memory",), seconds=every, windows=windows, rounds=1, settle=0.0, fresh=True,
        goal=Goal(peak, promise, "pages", reached),
    )  # fmt: skip


def disk(
    directory: str | Path,
    *,
    write_bps: int | None = None,
    write_iops: int | None = None,
    read_bps: int | None = None,
    read_iops: int | None = None,
    direct: bool = True,
    block: int | None = None,
    size: int = 32 << 20,
    device: str = "",
    name: str = "",
) -> Experiment:
    """dd against a limit of the disk under `directory` (or of `device`, "/dev/loop0"): give exactly one of the four.

    `direct` bypasses the page cache (O_DIRECT); without it the writes are the cache's, and the rows' ``app_write_bytes`` says
    how fast the program went while ``write_bytes`` says what reached the disk on this cgroup's account. `size` is the file's,
    in `block` steps (default 64 KiB for bytes, 4 KiB for operations). Promised: the limit within 10 %. Raises ValueError for
    another number of limits.
    """
    asked = {k: v for k, v in (("write_bps", write_bps), ("write_iops", write_iops), ("read_bps", read_bps),
                               ("read_iops", read_iops)) if v}  # fmt: skip
    if len(asked) != 1:
        raise ValueError("give exactly one of write_bps, write_iops, read_bps, read_iops")
    (kind, rate), writes = next(iter(asked.items())), "write_bps" in asked or "write_iops" in asked
    node, number = counters.device(directory) if not device else (device, counters.number(device))
    counted = f"{'write' if writes else 'read'}_{'ios' if kind.endswith('iops') else 'bytes'}"
    command = _dd(writes, direct, block or (4096 if kind.endswith("iops") else 65536), size)
    fixed = {"volumes": {str(directory): {"bind": "/data", "mode": "rw"}}}
    load = Load(kind, command, {f"device_{kind}": [{"Path": node, "Rate": rate}]}, fixed=fixed)
    key = f"{number} {kind[0]}{kind.rpartition('_')[2]}"  # "254:0 wbps"
    text = f"{kind} of {rate} within 10 %, {'direct' if direct else 'buffered'}"

    def promise(rows: list[Row]) -> Promise:
        return Promise.near(text, rows[0]["throttle"][key], 0.10)

    def per_second(rows: list[Row]) -> float:
        return float(sum(r[counted] for r in rows) / sum(r["seconds"] for r in rows))

    goal = Goal(per_second, promise, "operations/s" if kind.endswith("iops") else "bytes/s")
    label = name or f"disk-{kind.replace('_', '-')}-{'direct' if direct else 'buffered'}"
    # The kernel lets requests through in slices of a tenth of a second: ten and a half of them are never off by a whole one.
    return Experiment(label, [load], sample=("blkio", "io", "memory"), seconds=1.05, settle=0.5, goal=goal)


def of(rows: list[Row], key: str, load: str | None = None) -> float:
    """The mean of `key` over the rows (of one load): a quantity for a goal."""
    return statistics.fmean(float(r[key]) for r in rows if load is None or r["load"] == load)


def ratio(rows: list[Row], key: str, above: str, below: str) -> float:
    """The sum of `key` of the load `above` divided by that of the load `below`."""
    return sum(float(r[key]) for r in rows if r["load"] == above) / sum(float(r[key]) for r in rows if r["load"] == below)


def ratio_goal(loads: Sequence[Load], tolerance: float) -> Goal:
    """CPU time of the first load in units of the last one's, against the ratio of the weights that the kernel holds."""
    above, below = loads[0].name, loads[-1].name

    def promise(rows: list[Row]) -> Promise:
        weights = {r["load"]: r["weight"] for r in rows}
        expected = weights[above] / weights[below]
        text = f"{weights[above]}:{weights[below]} is {expected:.2f} to 1 within {tolerance:.0%}"
        return Promise.near(text, expected, tolerance)

    return Goal(lambda rows: ratio(rows, "cpu_ns", above, below), promise, "to 1")


def _names(values: Sequence[int | None]) -> list[str]:
    """A name for each contender: its shares, and a letter where two are alike."""
    texts = [str(v) if v else "none" for v in values]
    return [t if texts.count(t) == 1 else f"{t} {'abcdefgh'[texts[:i].count(t)]}" for i, t in enumerate(texts)]


def _joined(values: Sequence[int | None]) -> str:
    return "-".join(str(v) if v else "none" for v in values)


def _dd(writes: bool, direct: bool, block: int, size: int) -> tuple[str, ...]:
    """dd over a file of `size` bytes, again and again; for reading, the file is written first."""
    write = f"dd if=/dev/zero of=/data/experiment bs={block} count={size // block} conv=notrunc"
    if writes:
        return ("sh", "-c", f"while {write}{' oflag=direct' if direct else ''} 2>/dev/null; do :; done")
    prepare = f"dd if=/dev/zero of=/data/experiment bs=1M count={size >> 20} conv=fsync 2>/dev/null"
    read = f"dd if=/data/experiment of=/dev/null bs={block}{' iflag=direct' if direct else ''} 2>/dev/null"
    return ("sh", "-c", f"{prepare}; while {read}; do :; done")

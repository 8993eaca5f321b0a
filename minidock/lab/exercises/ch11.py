"""Chapter 11: disk I/O."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minidock import errors
from minidock.lab import chapter, counters, facts, quiz
from minidock.lab.checks import NotAttempted, answered, expect, register
from minidock.lab.experiment import Load
from minidock.lab.loopdisk import Disk, LoopDisk
from minidock.libcontainer import cgroups

MIB = 1 << 20

# Times the same operations in a folder of the container's layer and in one of a volume, in turns; prints rows as JSON.
COMPARE = """\
import json, os, shutil, sys, time
rows = []

def timed(place, what, action):
    start = time.perf_counter()
    action()
    rows.append({"place": place, "what": what, "ms": (time.perf_counter() - start) * 1e3})

def write(path, size=16 << 20):
    with open(path, "wb") as file:
        file.write(bytes(size))
        os.fsync(file.fileno())

def create(folder):
    for i in range(300):
        open(f"{folder}/{i}", "w").close()

def change(path):
    with open(path, "r+b") as file:
        file.write(b"x")

def grow(path):
    with open(path, "ab") as file:
        for _ in range(50):
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())

tools = [f for f in os.scandir("/usr/bin") if f.is_file(follow_symlinks=False) and "python" not in f.name]    # which is busy
image = sorted(tools, key=lambda f: -f.stat().st_size)
for number, original in enumerate(image[:4]):
    for place, top in (("layer", sys.argv[1]), ("volume", sys.argv[2])):
        folder = f"{top}/{number}"
        os.makedirs(folder)
        timed(place, "write 16 MiB, fsync", lambda: write(f"{folder}/big"))
        timed(place, "append 50 blocks, each synced", lambda: grow(f"{folder}/log"))
        timed(place, "make 300 empty files", lambda: create(folder))
        timed(place, "change one byte, again", lambda: change(f"{folder}/big"))
    shutil.copy(original.path, f"{sys.argv[2]}/{number}/copy")
    timed("layer", "change one byte of an image's file", lambda: change(original.path))
    timed("volume", "change one byte of an image's file", lambda: change(f"{sys.argv[2]}/{number}/copy"))
print(json.dumps(rows))
"""


def disk_load(
    disk: LoopDisk | Disk, kind: str, rate: int, *, block: int | None = None, name: str = "", writers: int = 1
) -> Load:
    """dd, direct, again and again, under one limit: `kind` is read_bps, write_bps, read_iops or write_iops.

    On a `LoopDisk` in a folder of its own (`name`, default `kind`), bound to /data; on a plain `Disk` (the machine's) in the
    container's layer, so that no file of the host is touched. `writers` is how many at once, each with a file of its own.
    """
    size = block or (4096 if kind.endswith("iops") else 65536)
    move = f"dd if=/dev/zero of=$D/f$i bs={size} count={4 * MIB // size} conv=notrunc oflag=direct"
    prepare = "mkdir -p $D"
    if kind.startswith("read"):
        move = f"dd if=$D/f$i of=/dev/null bs={size} iflag=direct"
        prepare += "; for i in $W; do dd if=/dev/zero of=$D/f$i bs=1M count=4 conv=fsync 2>/dev/null; done"
    script = f"{prepare}; for i in $W; do while {move} 2>/dev/null; do :; done & done; wait"
    top, volumes, device = "/layer", {}, disk
    if isinstance(disk, LoopDisk):
        folder = disk.mount / (name or kind)
        folder.mkdir(exist_ok=True)
        top, volumes, device = "/data", {str(folder): {"bind": "/data", "mode": "rw"}}, disk.disk
    assert isinstance(device, Disk)
    environment = {"D": top, "W": " ".join(map(str, range(writers)))}
    fixed = {"environment": environment, **({"volumes": volumes} if volumes else {})}
    return Load(kind, ("sh", "-c", script), {f"device_{kind}": [{"Path": device.path, "Rate": rate}]}, fixed=fixed)


@contextmanager
def _started(load: Load) -> Iterator[Any]:
    """A container of the chapter with this load, removed at the end."""
    options = {**load.fixed, **load.limits}
    container = chapter.current().run(load.image, list(load.command), detach=True, **options)
    try:
        yield container
    finally:
        container.remove(force=True, v=True)


_WAYS = {"direct": "oflag=direct", "buffered, then fsync": "conv=fsync", "buffered, left to the flusher": ""}


def written(disk: LoopDisk, how: str, *, limit: int | None, megabytes: int = 12) -> dict[str, Any]:
    """Write `megabytes` in a container under `limit` (bytes per second; None: none), one of three ways, until all is on disk.

    Returns ``program_s`` (until dd was done), ``disk_s`` (until the disk had it all; syncfs(2) from the host sends what was
    left to the flusher), ``charged`` (bytes on the container's account) and ``disk`` (bytes that the disk itself counted).
    """
    folder = disk.mount / "written"
    folder.mkdir(exist_ok=True)
    subprocess.run(["sync", "--file-system", str(disk.mount)], check=True)
    limits = {"device_write_bps": [{"Path": disk.disk.path, "Rate": limit}]} if limit else {}
    load = Load("write", ("sleep", "300"), limits, fixed={"volumes": {str(folder): {"bind": "/data", "mode": "rw"}}})
    with _started(load) as container:
        group, sectors = counters.group(container), disk.disk.sectors()
        before, start = group.read("blkio"), time.monotonic()
        dd = f"dd if=/dev/zero of=/data/file bs=64k count={megabytes * 16} {_WAYS[how]} 2>/dev/null"
        container.exec_run(["sh", "-c", dd])
        program = time.monotonic() - start
        subprocess.run(["sync", "--file-system", str(disk.mount)], check=True)
        row = {"how": how, "limit": limit, "program_s": program, "disk_s": time.monotonic() - start}
        row["charged"] = group.read("blkio")["write_bytes"] - before["write_bytes"]
        row["disk"] = disk.disk.sectors()["write"] - sectors["write"]
    (folder / "file").unlink()
    return row


def fio(disk: LoopDisk, *, seconds: int = 1, beside: Load | None = None, **limits: Any) -> dict[str, Any]:
    """fio's random, direct writes of 4 KiB, one after the other, in a container under `limits`, perhaps beside a load.

    Returns iops, mean_us, p50_us, p99_us, and ``bins``: (µs, per cent of all writes that took at most that).
    """
    if beside is not None:
        with _started(beside):
            return fio(disk, seconds=seconds, **limits)
    folder = disk.mount / "fio"
    folder.mkdir(exist_ok=True)
    argv = ["fio", "--name=lab11", "--filename=/data/fio", "--rw=randwrite", "--bs=4k", "--size=8M", "--direct=1",
            "--ioengine=psync", "--time_based", f"--runtime={seconds}", "--output-format=json+"]  # fmt: skip
    load = Load("fio", argv, limits, "lab", {"volumes": {str(folder): {"bind": "/data", "mode": "rw"}}})
    with _started(load) as container:
        expect(container.wait(timeout=60)["StatusCode"] == 0, f"fio failed: {container.logs().decode()[-300:]}")
        text = container.logs(stderr=False).decode()
    job = json.loads(text[text.index("{") :])["jobs"][0]["write"]
    counts = sorted((int(ns) / 1e3, count) for ns, count in job["clat_ns"]["bins"].items())
    total, seen, points = sum(count for _, count in counts), 0, []
    for value, count in counts:
        seen += count
        points.append((value, 100 * seen / total))
    median, tail = (next(v for v, p in points if p >= percent) for percent in (50, 99))
    mean = job["clat_ns"]["mean"] / 1e3
    return {"iops": job["iops"], "mean_us": mean, "p50_us": median, "p99_us": tail, "bins": points}


_disks: dict[Path, LoopDisk] = {}


def lab_disk() -> LoopDisk:
    """The chapter's disk for exercises: made when first asked for; `cleanup` takes it away with the chapter's other things."""
    folder = chapter.current().disk
    if folder not in _disks or not _disks[folder].image.exists():
        _disks[folder] = LoopDisk(folder, 32 * MIB, name="exercises")
    return _disks[folder]


def _throttle(name: str) -> dict[str, int]:
    """The limits of the running container `name` on the exercises' disk: {"wbps": 2097152}; NotAttempted if it is not there."""
    try:
        container = chapter.current().client.containers.get(name)
    except errors.NotFound:
        raise NotAttempted(f"there is no container named {name} yet") from None
    expect(container.status == "running", f"{name} is there, but it is {container.status}, not running")
    limits = counters.group(container).held()["throttle"]
    pairs = [(*key.split(), rate) for key, rate in limits.items()]
    return {kind: rate for number, kind, rate in pairs if number == lab_disk().disk.number}


@register("11-charged", "observe", "MiB read from the disk by two cats of a file of 6 MiB that was written directly")
def charged(answer: Any) -> str:
    """Compared with what the kernel counts when it is done now."""
    expect(isinstance(answered(answer), int | float), "the answer should be a number of MiB")
    folder = lab_disk().mount / "check"
    folder.mkdir(exist_ok=True)
    load = Load("charged", ("sleep", "60"), fixed={"volumes": {str(folder): {"bind": "/data", "mode": "rw"}}})
    with _started(load) as container:
        script = "dd if=/dev/zero of=/data/f bs=1M count=6 oflag=direct 2>/dev/null; cat /data/f /data/f > /dev/null"
        container.exec_run(["sh", "-c", script])
        read = counters.counters(container, "blkio")["read_bytes"] / MIB
    expect(abs(answer - read) < 1, f"it was just done, and the kernel did not count {answer} MiB")
    return f"the kernel just counted {read:.1f} MiB"


@register("11-slow", "modify", "lab11-slow running, writing 2 MiB/s at most to the exercises' disk")
def slow(_answer: Any) -> str:
    """Reads what the kernel holds for the container of that name."""
    limits = _throttle("lab11-slow")
    expect("wbps" in limits, f"no limit of bytes written per second on {lab_disk().disk.path}")
    expect(limits["wbps"] == 2 * MIB, f"it may write {limits['wbps']} bytes per second")
    expect(set(limits) == {"wbps"}, "something else than writing is limited, too")
    return "2097152 bytes per second, writing only"


@register("11-two", "modify", "lab11-two running, with 100 reads per second and 1 MiB/s of reading at most")
def two(_answer: Any) -> str:
    """Reads what the kernel holds for the container of that name."""
    limits = _throttle("lab11-two")
    expect(set(limits) >= {"rbps", "riops"}, f"reading has {len(set(limits) & {'rbps', 'riops'})} of the two limits")
    expect(limits["riops"] == 100, f"it may read {limits['riops']} times per second")
    expect(limits["rbps"] == MIB, f"it may read {limits['rbps']} bytes per second")
    expect(set(limits) == {"rbps", "riops"}, "writing is limited, too")
    return "100 reads and 1048576 bytes per second"


@register("11-rate", "build", "a function write_rate(container, seconds) that measures bytes written per second")
def rate(answer: Any) -> str:
    """Measures a container held to 4 MiB/s and one that writes nothing; the first may be 15 % off."""
    expect(callable(answered(answer)), "the answer should be a function")
    with _started(disk_load(lab_disk(), "write_bps", 4 * MIB, name="rate")) as container:
        time.sleep(0.5)  # the first slice may be spent in advance: let the writer come to its pace
        value = answer(container, 1.5)
    if value is ...:
        raise NotAttempted("the function still returns its placeholder")
    expect(isinstance(value, int | float), f"the function should return a number, not {type(value).__name__}")
    expect(0.85 * 4 * MIB < value < 1.15 * 4 * MIB, f"it says {value / MIB:.2f} MiB/s of a container that is held to 4")
    with _started(Load("idle", ("sleep", "60"))) as container:
        idle = answer(container, 0.2)
    expect(idle == 0, f"it says {idle} of a container that writes nothing")
    return f"{value / MIB:.2f} MiB/s of a container held to 4, and 0 of an idle one"


@register("11-throttled", "build", "a function throttled(argv, number, rate) that runs a command under a limit of its own")
def throttled(answer: Any) -> str:
    """Has 4 MiB written at 4 MiB/s through the function, and again without it."""
    expect(callable(answered(answer)), "the answer should be a function")
    target = lab_disk()
    argv = ["dd", "if=/dev/zero", f"of={target.mount}/throttled", "bs=64k", "count=64", "oflag=direct", "status=none"]
    folder = Path(cgroups.manager("/lab11-mine").paths()["blkio" if facts.cgroup_version() == 1 else ""])
    seconds = answer(argv, target.disk.number, 4 * MIB)
    if seconds is ...:
        raise NotAttempted("the function still returns its placeholder")
    expect(isinstance(seconds, int | float), f"the function should return seconds, not {type(seconds).__name__}")
    expect((target.mount / "throttled").exists(), "the command was not run")
    expect(0.7 < seconds < 2, f"4 MiB at 4 MiB/s took {seconds:.2f} s, by what it says")
    expect(not folder.exists(), "the cgroup lab11-mine is still there")
    start = time.monotonic()
    subprocess.run(argv, check=True)
    expect(time.monotonic() - start < 0.6, "now the limit holds this notebook itself")
    return f"{seconds:.2f} s under the limit, and the cgroup is gone"


quiz.add(
    "11-flusher",
    "cgroup v1, --device-write-bps 1mb, and `cp` of a file of 100 MiB. When is cp done?",
    ("after 100 seconds", "at once, as long as there is memory for the pages", "never: the write fails"),
    1,
    "cp only fills the page cache. The flusher writes it out later, in nobody's name, past the limit.",
)
quiz.add(
    "11-blocks",
    "A database writes 16 KiB at a time under --device-write-iops 500. How much does it write at most?",
    ("500 KiB/s", "about 8 MiB/s", "it depends on the disk only"),
    1,
    "500 operations of 16 KiB each. The kernel counts what reaches the disk, so merged or split requests count otherwise.",
)
quiz.add(
    "11-scheduler",
    "--blkio-weight 1000 on a disk whose scheduler is mq-deadline:",
    ("it writes ten times as much", "it has no effect", "the container does not start"),
    1,
    "Weights are the scheduler's business, and only bfq knows them (on v2 also io.cost).",
)

"""A warm start: the engine lives in this process, the zygote is there; runc and crun are whole commands.

From create to removed: our run makes the container and its record, runs ``true``, collects output and exit code, and
removes everything; when it returns nothing is left in the kernel or on disk (checked after the rounds).

runc and crun keep their state in /run, on a tmpfs, and make no layer. Ours is measured twice: on the disk, as users have it,
and on a tmpfs. The difference is what twenty files and directories cost there (much, on an ext4 without a journal: it passes
over every inode that was freed within the last minute, one by one).
"""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path

from tests.bench.measure import Table, in_turn, timed
from tests.bench.stage import Stage

PROMISE = "embedded at most 0.50 of runc; crun is the mark to beat"


def run(stage: Stage) -> list[Table]:
    with tempfile.TemporaryDirectory(prefix="mdb", dir="/dev/shm") as folder, Stage(Path(folder)) as in_memory:
        return compare(stage, in_memory)


def compare(stage: Stage, in_memory: Stage) -> list[Table]:
    """Two tables: back to back, and after idleness."""
    numbers = count()

    def ours(where: Stage) -> object:
        return where.client.containers.run("busybox", "true", network_mode="none", remove=True)

    def peer(name: str) -> float:
        return stage.worker.time(name, "run", "-b", str(stage.bundle), f"bench-{name}-{next(numbers)}")

    subjects = {
        "minidock, embedded": timed(lambda: ours(stage)),
        "minidock, embedded, state on a tmpfs": timed(lambda: ours(in_memory)),
        "runc run": lambda: peer("runc"),
        "crun run": lambda: peer("crun"),
    }
    busy = in_turn(subjects, rounds=40, reference="runc run")
    idle = in_turn(subjects, rounds=8, idle=1.0, reference="runc run")
    nothing_left(stage)
    nothing_left(in_memory)
    return [
        Table("Warm start of busybox true, no network: back to back", "ms", PROMISE, busy),
        Table("The same, each after a second of idleness", "ms", PROMISE, idle),
    ]


def nothing_left(stage: Stage) -> None:
    """Removed means gone: no container folder, no layer of one, no cgroup, no run folder."""
    engine = stage.client.api.engine
    instance = engine.paths.instance
    left = list(engine.paths.containers.iterdir())
    left += [p for p in engine.paths.run.iterdir() if len(p.name) == 64]
    left += [p for h in Path("/sys/fs/cgroup").iterdir() for p in h.glob(f"{instance}/*") if p.is_dir() and p.name != "shims"]
    if left:
        raise RuntimeError(f"removed, and still there: {left[:4]}")

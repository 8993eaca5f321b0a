"""A warm start: the engine lives in this process, the zygote is there; runc and crun are whole commands.

From create to removed: our run makes the container and its record, runs ``true``, collects output and exit code, and
removes everything; when it returns nothing is left in the kernel or on disk (checked after the rounds).
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

from tests.bench.measure import Table, in_turn, timed
from tests.bench.stage import Stage

PROMISE = "embedded at most 0.50 of runc; crun is the mark to beat"


def run(stage: Stage) -> list[Table]:
    numbers = count()

    def ours() -> object:
        return stage.client.containers.run("busybox", "true", network_mode="none", remove=True)

    def peer(name: str) -> float:
        return stage.worker.time(name, "run", "-b", str(stage.bundle), f"bench-{name}-{next(numbers)}")

    subjects = {
        "minidock, embedded run(busybox, true, none)": timed(ours),
        "runc run": lambda: peer("runc"),
        "crun run": lambda: peer("crun"),
    }
    busy = in_turn(subjects, rounds=40, reference="runc run")
    idle = in_turn(subjects, rounds=8, idle=1.0, reference="runc run")
    nothing_left(stage)
    return [
        Table("Warm start, back to back", "ms", PROMISE, busy),
        Table("Warm start, each after a second of idleness", "ms", PROMISE, idle),
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

"""Containers that take what they can get, beside others; and processes that die while limits are being set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from minidock.daemon import open_engine
from minidock.daemon.containers import create, inspect, kill, rm, run, start, update, wait
from minidock.daemon.engine import Engine
from minidock.daemon.record import records
from minidock.daemon.record.names import lookup
from minidock.libcontainer import cgroups
from minidock.linux.trace import FaultPlan
from tests.linux.robust import remains
from tests.linux.robust.test_fault_steps import CASES, Case, strike

MB = 1 << 20
V1 = cgroups.version() == 1
BOMB = "sh -c 'b() { b | b & }; b' 2>/dev/null & exec sleep 1000"
HOG = "while :; do tail /dev/zero; done"


def started(engine: Engine, *command: str, **host: Any) -> str:
    config = {"Image": "busybox", "Cmd": list(command)}
    id = str(create.create(engine, config, {"NetworkMode": "none", **host})["Id"])
    start.start(engine, id)
    return id


def file(engine: Engine, id: str, name: str) -> Path:
    return Path(cgroups.manager(lookup(engine, id).cgroup).paths()[name.partition(".")[0]], name)


def refused_forks(engine: Engine, id: str) -> int:
    """How often the kernel refused a fork (``max`` in pids.events, cgroup-v1/pids.rst)."""
    return int(file(engine, id, "pids.events").read_text().split()[1])


def oom_kills(engine: Engine, id: str) -> int:
    return cgroups.manager(lookup(engine, id).cgroup).oom_kills()


def usable(engine: Engine) -> None:
    """The engine starts a container that works."""
    config = {"Image": "busybox", "Cmd": ["echo", "hello"]}
    result = run.run(engine, config, {"NetworkMode": "none", "AutoRemove": True}, timeout=60)
    assert (result.exit_code, result.output) == (0, b"hello\n")


def test_a_fork_bomb_and_a_memory_hog_side_by_side(root: Path) -> None:
    with open_engine(root) as engine:
        before = remains.look(engine)
        tight = {"PidsLimit": 100, "Memory": 32 * MB, "MemorySwap": 32 * MB, "CpuShares": 10}
        bomb, hog = started(engine, "sh", "-c", BOMB, **tight), started(engine, "sh", "-c", HOG, **tight)
        calm = started(engine, "sleep", "1000")
        remains.eventually(lambda: refused_forks(engine, bomb), "a fork that is refused")
        remains.eventually(lambda: oom_kills(engine, hog) >= 3, "processes that are killed")
        assert int(file(engine, bomb, "pids.current").read_text()) <= 100
        usable(engine)
        for id in (bomb, hog, calm):
            assert inspect.inspect(engine, id)["State"]["Running"]
        assert oom_kills(engine, calm) == 0, "control: only who has no memory is a victim"
        assert refused_forks(engine, calm) == 0
        for id in (bomb, hog):
            kill.kill(engine, id)
            wait.wait(engine, id, timeout=60)
        assert [inspect.inspect(engine, id)["State"]["OOMKilled"] for id in (hog, calm)] == [True, False]
        assert {r["ID"] for r in records.records(engine) if r["Action"] == "oom"} >= {hog}
        for id in (bomb, hog, calm):
            rm.rm(engine, id, force=True)
    assert remains.settled(root, before) == []


@contextmanager
def ceiling(engine: Engine, room: int) -> Iterator[None]:
    """The instance's memory ceiling for a while only `room` bytes above what it uses."""
    group = cgroups.manager(f"/{engine.paths.instance}").paths()["memory"]
    limit, usage = ("memory.limit_in_bytes", "memory.usage_in_bytes") if V1 else ("memory.max", "memory.current")
    usual, used = Path(group, limit).read_text(), int(Path(group, usage).read_text())
    Path(group, limit).write_text(str(used + room))
    try:
        yield
    finally:
        Path(group, limit).write_text(usual)


def test_a_hog_without_any_limit(root: Path) -> None:
    """The instance's ceiling is above it: the hog is the victim, not the shims, not the engine, not its neighbour."""
    with open_engine(root) as engine:
        before = remains.look(engine)
        calm = started(engine, "sleep", "1000")
        shims = set(called(engine, "minidock-shim"))
        with ceiling(engine, 96 * MB):
            hog = started(engine, "sh", "-c", HOG)
            remains.eventually(lambda: oom_kills(engine, hog) >= 2, "processes that are killed")
            assert inspect.inspect(engine, hog)["State"]["Running"]
            kill.kill(engine, hog)
            wait.wait(engine, hog, timeout=60)
        assert inspect.inspect(engine, hog)["State"]["OOMKilled"]
        assert inspect.inspect(engine, calm)["State"]["Running"]
        assert shims <= set(called(engine, "minidock-shim"))
        usable(engine)
        oomed = {record["ID"] for record in records.records(engine) if record["Action"] == "oom"}
        assert hog in oomed
        assert calm not in oomed, "the ceiling was reached, and by another"
        for id in (hog, calm):
            rm.rm(engine, id, force=True)
    assert remains.settled(root, before) == []


def called(engine: Engine, name: str) -> list[int]:
    """The instance's own processes of that name."""
    group = cgroups.manager(f"/{engine.paths.instance}/shims").paths()["memory"]
    pids = remains.read(f"{group}/cgroup.procs").split()
    return [int(pid) for pid in pids if remains.read(f"/proc/{pid}/comm").strip() == name]


ALL: dict[str, Any] = {
    "Memory": 64 * MB, "MemorySwap": 96 * MB, "MemoryReservation": 32 * MB, "PidsLimit": 77, "CpuShares": 512,
    "CpuPeriod": 50_000, "CpuQuota": 25_000, "CpusetCpus": "0", "CpusetMems": "0",
}  # fmt: skip


def made(engine: Engine, **host: Any) -> str:
    config = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
    return str(create.create(engine, config, {"NetworkMode": "none", **ALL, **host}, host.pop("name", None))["Id"])


def running(engine: Engine) -> str:
    return started(engine, "sleep", "1000")


def change(engine: Engine, id: str) -> None:
    update.update(engine, id, ALL)


remove = CASES["rename"].clean
LIMITED = {
    # more of a quota than there are CPUs: the kernel is asked beforehand
    "create": Case(lambda e: "", lambda e, _: made(e, name="victim", CpuQuota=50_000_000), lambda e, _: remove(e, "victim")),
    "start": Case(made, start.start, remove),
    "start elsewhere": Case(lambda e: made(e, CgroupParent=f"/{e.paths.instance}-lab/x"), start.start, remove),
    "update": Case(running, change, remove),
}


def moments(root: Path, case: Case) -> list[FaultPlan]:
    """Every step on a cgroup of ours: its making, each file that is written, its removal."""
    with open_engine(root) as engine:
        subject = case.prepare(engine)
        with engine.trace() as steps:
            case.act(engine, subject)
        case.clean(engine, subject)
    numbers, found = dict.fromkeys(("engine", "shim", "init"), 0), []
    for step in sorted(steps, key=lambda step: step.start + step.duration):
        numbers[step.process] += 1
        if engine.paths.instance in step.what and step.what.startswith("/sys/fs/cgroup"):
            found.append(FaultPlan(step.process, numbers[step.process]))
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("deadly", [False, True], ids=["error", "kill"])
@pytest.mark.parametrize("verb", LIMITED)
def test_an_end_while_limits_are_being_set(root: Path, verb: str, deadly: bool) -> None:
    plans = moments(root, LIMITED[verb])
    assert len(plans) >= 4
    problems, felt = {}, 0
    for plan in plans[:: max(1, len(plans) // 5)]:
        hit, left = strike(root, LIMITED[verb], FaultPlan(plan.process, plan.after, deadly), "")
        felt += hit
        if left:
            problems[plan] = left
    assert felt, "not one fault was felt"
    assert problems == {}

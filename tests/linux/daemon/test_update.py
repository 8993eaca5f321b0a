"""``update``: what the kernel holds afterwards, on containers that run and others; wholly, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minidock import errors
from minidock.daemon.containers import inspect, pause, rename, rm, start, stop, unpause, update, wait
from minidock.daemon.engine import Engine
from minidock.daemon.record import records
from minidock.daemon.record.names import lookup
from minidock.libcontainer import cgroups
from minidock.linux import trace
from tests.linux.daemon.test_limits import HELD, MEMORY, SWAP, V1, held
from tests.linux.robust import remains

MB = 1 << 20
WANTED: dict[str, Any] = {
    "Memory": 64 * MB, "MemorySwap": 96 * MB, "MemoryReservation": 32 * MB, "PidsLimit": 77, "CpuShares": 512,
    "CpuPeriod": 50_000, "CpuQuota": 25_000, "CpusetCpus": "0", "CpusetMems": "0",
}  # fmt: skip
SHARES = "cpu.shares" if V1 else "cpu.weight"


def shown(box: Engine, ref: str, *keys: str) -> tuple[Any, ...]:
    host = inspect.inspect(box, ref)["HostConfig"]
    return tuple(host[key] for key in keys)


def total(memory_swap: int, memory: int) -> str:
    """What the swap file of this version holds for a limit of memory and swap together."""
    return str(memory_swap if V1 else memory_swap - memory)


def test_at_once_on_a_running_container(box: Engine, started: Any) -> None:
    id = started("sleep", "1000")
    before = {file: held(box, id, file) for file in HELD}
    pid = inspect.inspect(box, id)["State"]["Pid"]
    assert update.update(box, id, WANTED) == {"Warnings": []}
    assert {file: held(box, id, file) for file in HELD} == HELD != before
    assert os.sched_getaffinity(pid) == {0}
    assert shown(box, id, *WANTED) == tuple(WANTED.values())
    assert inspect.inspect(box, id)["State"]["Pid"] == pid, "it went on"
    stop.stop(box, id, timeout=0)
    start.start(box, id)
    assert {file: held(box, id, file) for file in HELD} == HELD, "and it has them at its next start"


def test_a_stopped_container_has_them_at_its_start(box: Engine, made: Any) -> None:
    id = made("sleep", "1000")
    update.update(box, id, WANTED)
    start.start(box, id)
    assert {file: held(box, id, file) for file in HELD} == HELD


def test_a_paused_container(box: Engine, started: Any) -> None:
    id = started("sleep", "1000")
    pause.pause(box, id)
    update.update(box, id, {"CpuShares": 512})
    assert held(box, id, SHARES) == HELD[SHARES]
    assert inspect.inspect(box, id)["State"]["Paused"]
    unpause.unpause(box, id)


def test_memory_up_and_down(box: Engine, started: Any) -> None:
    """memory ≤ memory+swap holds at every moment: which is written first depends on the way."""
    id = started("sleep", "1000", host={"Memory": 64 * MB})
    for memory, swap in ((256, 512), (32, 48), (512, 512), (16, 1024), (64, 64)):
        update.update(box, id, {"Memory": memory * MB, "MemorySwap": swap * MB})
        assert (held(box, id, MEMORY), held(box, id, SWAP)) == (str(memory * MB), total(swap * MB, memory * MB))
    update.update(box, id, {"MemorySwap": -1})
    assert held(box, id, SWAP) == "max" or int(held(box, id, SWAP)) > 1 << 60
    update.update(box, id, {"Memory": 2048 * MB})
    assert shown(box, id, "Memory", "MemorySwap") == (2048 * MB, -1)


def test_no_limit_any_more(box: Engine, started: Any) -> None:
    id = started("sleep", "1000", host={"PidsLimit": 77, "CpuQuota": 25_000})
    update.update(box, id, {"PidsLimit": -1, "CpuQuota": -1})
    assert held(box, id, "pids.max") == "max"
    assert held(box, id, "cpu.cfs_quota_us" if V1 else "cpu.max").split()[0] == ("-1" if V1 else "max")


def state_of(box: Engine, id: str) -> tuple[dict[str, str], Any]:
    return {file: held(box, id, file) for file in HELD}, inspect.inspect(box, id)["HostConfig"]


@pytest.mark.parametrize(
    "changes",
    [
        {**WANTED, "PidsLimit": 1 << 40},
        {**WANTED, "CpuQuota": 1 << 60},
        {**WANTED, "CpusetCpus": "99"},
        {**WANTED, "Memory": 1},
        {**WANTED, "MemorySwap": 32 * MB},
        {**WANTED, "MemorySwap": -2},
        {**WANTED, "BlkioWeight": 5},
        {**WANTED, "RestartPolicy": {"Name": "sometimes"}},
        {**WANTED, "NanoCpus": 10**9},
        {**WANTED, "BlkioDeviceReadBps": [{"Path": "/dev/null", "Rate": 1}]},
    ],
    ids=lambda changes: " ".join(f"{key}={changes[key]}" for key in changes if changes[key] != WANTED.get(key)),
)
def test_wholly_or_not_at_all(box: Engine, started: Any, changes: dict[str, Any]) -> None:
    id = started("sleep", "1000", host={"Memory": 128 * MB, "CpuShares": 300})
    before = state_of(box, id)
    with pytest.raises((errors.InvalidParameter, errors.SystemFault)):
        update.update(box, id, changes)
    assert state_of(box, id) == before
    assert update.update(box, id, WANTED) == {"Warnings": []}  # control: it was that one value
    assert state_of(box, id) != before
    assert not [r for r in records.records(box)[:-1] if r["Action"] == "update"], "only what happened is written down"


def test_more_memory_in_use_than_the_new_limit(box: Engine, started: Any) -> None:
    """v1 cannot reclaim what a process uses without swap: refused. v2 takes the limit, and the OOM killer comes."""
    script = "dd if=/dev/zero of=/dev/shm/full bs=1M count=48 2>/dev/null; echo full; exec sleep 1000"
    id = started("sh", "-c", script, host={"Memory": 256 * MB, "MemorySwap": 256 * MB})
    remains.eventually(lambda: used(box, id) > 48 * MB, "48 MB in use")
    if V1:
        with pytest.raises(errors.SystemFault, match="busy"):
            update.update(box, id, {"Memory": 16 * MB, "MemorySwap": 16 * MB, "CpuShares": 512})
        assert (held(box, id, MEMORY), held(box, id, SWAP)) == (str(256 * MB), str(256 * MB))
        assert held(box, id, SHARES) != HELD[SHARES]
        assert shown(box, id, "Memory", "CpuShares") == (256 * MB, 0)
    else:
        update.update(box, id, {"Memory": 16 * MB, "MemorySwap": 16 * MB})
        assert held(box, id, MEMORY) == str(16 * MB)


def used(box: Engine, id: str) -> int:
    return int(held(box, id, "memory.usage_in_bytes" if V1 else "memory.current"))


def test_a_fault_at_every_step(box: Engine, started: Any) -> None:
    """Any step of an update may fail: kernel and record have the old values, both, or, once it was done, both the new."""
    id = started("sleep", "1000", host={"Memory": 128 * MB})
    found = {}
    for n in (0, 1):
        with box.trace() as steps:
            update.update(box, id, state_number(n))
        found[n] = state_of(box, id)
    count = len([step for step in steps if step.process == "engine"])
    assert count > 4, "a file, and one for each limit"
    seen = set()
    for after in range(1, count + 1):
        update.update(box, id, state_number(0))
        with pytest.raises(errors.SystemFault), box.trace(trace.FaultPlan("engine", after)):
            update.update(box, id, state_number(1))
        now = state_of(box, id)
        assert now in found.values(), f"after step {after}"
        seen.add(now == found[0])
    assert True in seen


def test_two_hundred_in_a_row(box: Engine, started: Any) -> None:
    id = started("sleep", "1000", host={"Memory": 64 * MB})
    for n in range(200):
        memory = (16 + n * 37 % 200) * MB
        update.update(box, id, {"Memory": memory, "MemorySwap": 2 * memory, "PidsLimit": 10 + n, "CpuShares": 100 + n})
    assert shown(box, id, "Memory", "MemorySwap", "PidsLimit", "CpuShares") == (memory, 2 * memory, 209, 299)
    assert (held(box, id, MEMORY), held(box, id, SWAP)) == (str(memory), total(2 * memory, memory))
    assert (held(box, id, "pids.max"), held(box, id, SHARES)) == ("209", "299" if V1 else cgroups.cpu_weight(299))
    assert len([record for record in records.records(box) if record["Action"] == "update"]) == 200


def state_number(n: int) -> dict[str, Any]:
    return {"Memory": (64 + n) * MB, "MemorySwap": (200 + n) * MB, "PidsLimit": 100 + n, "CpuShares": 500 + n}


def change_when(gate: int, closed: int, root: Path, id: str, n: int) -> int:
    """One of eight, in a process of its own that waits at the gate; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.close(closed)
        with Engine(root) as engine:
            os.read(gate, 1)
            update.update(engine, id, state_number(n))
        code = 0
    finally:
        os._exit(code)


def test_eight_at_once(box: Engine, started: Any) -> None:
    id = started("sleep", "1000", host={"Memory": 64 * MB})
    gate, open_gate = os.pipe()
    workers = [change_when(gate, open_gate, box.paths.root, id, n) for n in range(8)]
    os.close(open_gate)  # all of them read the end of it
    os.close(gate)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers] == [0] * 8
    host = inspect.inspect(box, id)["HostConfig"]
    n = host["PidsLimit"] - 100
    assert {key: host[key] for key in state_number(n)} == state_number(n), "one of them, whole"
    memory, swap = state_number(n)["Memory"], state_number(n)["MemorySwap"]
    assert (held(box, id, MEMORY), held(box, id, SWAP)) == (str(memory), total(swap, memory))
    assert held(box, id, "pids.max") == str(100 + n)
    assert held(box, id, SHARES) == (str(500 + n) if V1 else cgroups.cpu_weight(500 + n))


def test_what_is_written_down(box: Engine, started: Any) -> None:
    id = started("sleep", "1000", name="first", Labels={"a": "b"})
    pause.pause(box, id)
    unpause.unpause(box, id)
    rename.rename(box, id, "second")
    update.update(box, id, {"CpuShares": 512})
    found = records.records(box)
    assert [(record["Action"], record["Attributes"]["name"]) for record in found] == [
        ("pause", "first"), ("unpause", "first"), ("update", "second"),
    ]  # fmt: skip
    assert all(record["ID"] == id and record["Attributes"]["image"] == "busybox" for record in found)
    times = [record["timeNano"] for record in found]
    assert times == sorted(times)
    assert [record["Action"] for record in records.records(box, since=times[2])] == ["update"]


def test_a_restart_policy_that_comes_later(box: Engine, started: Any) -> None:
    """The shim learns of it: with no engine that owns the exit, the container is started again all the same."""
    id = started("sh", "-c", "sleep 0.5; exit 5")
    update.update(box, id, {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}})
    root = box.paths.root
    box.close()  # nobody owns the exit any more
    with Engine(root) as other:
        remains.eventually(lambda: inspect.inspect(other, id)["RestartCount"] == 2, "two restarts")
        remains.eventually(lambda: inspect.inspect(other, id)["State"]["Status"] == "exited", "the end")
        update.update(other, id, {"RestartPolicy": {"Name": "no"}})
        start.start(other, id)
        wait.wait(other, id, timeout=60)
        state = inspect.inspect(other, id)
        assert (state["State"]["Status"], state["State"]["ExitCode"]) == ("exited", 5)
        rm.rm(other, id)


def test_who_is_not_there(box: Engine, started: Any) -> None:
    id = started("true", host={"AutoRemove": True})
    wait.wait(box, id, "removed", timeout=60)
    for ref in (id, "nobody"):
        with pytest.raises(errors.ContainerNotFound, match=f"No such container: {ref}"):
            update.update(box, ref, {"CpuShares": 512})
    assert records.records(box) == []


def test_an_exited_container(box: Engine, started: Any) -> None:
    id = started("true")
    wait.wait(box, id)
    update.update(box, id, {"CpuShares": 512})
    assert shown(box, id, "CpuShares") == (512,)
    assert not any(map(os.path.exists, cgroups.manager(lookup(box, id).cgroup).paths().values()))

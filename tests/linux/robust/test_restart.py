"""Restart policies and --rm with no engine running: every engine here is closed before what is due is due."""

from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from minidock.daemon import open_engine
from minidock.daemon.base import timestamps
from minidock.daemon.containers import create, inspect, logs, rm, start, stop
from minidock.daemon.engine import Engine
from minidock.errors import ContainerNotFound
from tests.linux.robust import remains


def launched(root: Path, *command: str, volumes: bool = False, **host: Any) -> str:
    """Started by an engine that is gone when this returns."""
    config = {"Image": "busybox", "Cmd": list(command), "Volumes": {"/data": {}} if volumes else {}}
    with open_engine(root) as engine:
        id = str(create.create(engine, config, {"NetworkMode": "none", **host})["Id"])
        start.start(engine, id)
    return id


def policy(name: str, most: int = 0) -> dict[str, Any]:
    return {"RestartPolicy": {"Name": name, "MaximumRetryCount": most}}


def shown(root: Path, id: str) -> dict[str, Any]:
    """inspect, by an engine that repairs nothing."""
    with Engine(root) as engine:
        return inspect.inspect(engine, id)


def starts(root: Path, id: str) -> list[float]:
    """When each run printed its line, in seconds."""
    with Engine(root) as engine:
        lines = b"".join(data for _stream, data in logs.logs(engine, id, timestamps=True)).decode().splitlines()
    return [timestamps.to_ns(line.split()[0]) / 1e9 for line in lines]


@pytest.fixture
def before(root: Path) -> remains.Remains:
    with open_engine(root) as engine:
        return remains.look(engine)


def remove(root: Path, id: str, before: remains.Remains) -> None:
    with open_engine(root) as engine:
        rm.rm(engine, id, force=True, volumes=True)
    assert remains.settled(root, before) == []


def test_on_failure_three_times(root: Path, before: remains.Remains) -> None:
    id = launched(root, "sh", "-c", "echo x; exit 3", **policy("on-failure", 3))
    remains.eventually(lambda: shown(root, id)["State"]["Status"] == "exited" and len(starts(root, id)) >= 4, "it gives up")
    found = shown(root, id)
    assert (found["RestartCount"], found["State"]["ExitCode"]) == (3, 3)
    times = starts(root, id)
    assert len(times) == 4
    # docker's backoff: 100 ms, doubled each time. A loaded machine may only be later.
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert all(gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.4), strict=True)), gaps
    remove(root, id, before)


def test_on_failure_and_success(root: Path, before: remains.Remains) -> None:
    id = launched(root, "sh", "-c", "echo x; exit 0", **policy("on-failure", 3))
    remains.eventually(lambda: not (root_run(root) / id).exists(), "what is due is done")
    assert shown(root, id)["RestartCount"] == 0
    remove(root, id, before)


def root_run(root: Path) -> Path:
    with Engine(root) as engine:
        return engine.paths.run


@pytest.mark.parametrize("name", ["always", "unless-stopped"])
def test_until_stopped(root: Path, before: remains.Remains, name: str) -> None:
    """What must always run does run again, and stays down once it was stopped, also for the next engine."""
    id = launched(root, "sh", "-c", "echo x; exit 0", **policy(name))
    remains.eventually(lambda: len(starts(root, id)) >= 3, "a third run")
    with open_engine(root) as engine:
        stop.stop(engine, id, 0)
        assert inspect.inspect(engine, id)["State"]["Status"] == "exited"
    runs = len(starts(root, id))
    with open_engine(root):
        pass
    assert shown(root, id)["State"]["Running"] is False
    assert len(starts(root, id)) == runs
    remove(root, id, before)


@pytest.mark.parametrize("verb", ["stop", "rm"])
def test_called_off_during_the_backoff(root: Path, before: remains.Remains, verb: str) -> None:
    """After four runs the wait is 0.8 s: the verb does not sit it out, and no further run comes."""
    id = launched(root, "sh", "-c", "echo x; exit 1", **policy("always"))
    remains.eventually(lambda: len(starts(root, id)) == 4 and shown(root, id)["State"]["Restarting"], "the fourth wait")
    with open_engine(root) as engine:
        begin = time.monotonic()
        stop.stop(engine, id, 0) if verb == "stop" else rm.rm(engine, id, force=True)
        took = time.monotonic() - begin
    assert took < 0.7
    if verb == "rm":
        assert remains.settled(root, before) == []
        return
    assert shown(root, id)["State"]["Status"] == "exited"
    assert len(starts(root, id)) == 4
    remove(root, id, before)


def test_rm_of_a_detached_one(root: Path, before: remains.Remains) -> None:
    """`run --rm -d`: name, layer, address, anonymous volume, cgroup and run directory go without any engine."""
    gate = root.parent / "gate"
    os.mkfifo(gate)
    try:
        binds = [f"{gate}:/gate"]
        id = launched(root, "cat", "/gate", volumes=True, NetworkMode="bridge", AutoRemove=True, Binds=binds)
        assert shown(root, id)["NetworkSettings"]["IPAddress"]
        with Engine(root) as engine:
            assert remains.differences(before, remains.look(engine)) != []
        threading.Thread(target=lambda: gate.write_text("go")).start()
        with Engine(root) as engine:
            remains.eventually(lambda: not remains.differences(before, remains.look(engine)), "nothing is left of it")
            with pytest.raises(ContainerNotFound):
                inspect.inspect(engine, id)
    finally:
        gate.unlink()


def test_a_killed_after_exit_entry(root: Path, before: remains.Remains) -> None:
    """kill -9 of the process that waits out the backoff: the next engine has another one wait, and the policy goes on."""
    id = launched(root, "sh", "-c", "echo x; exit 1", **policy("always"))
    remains.eventually(lambda: len(starts(root, id)) == 3 and shown(root, id)["State"]["Restarting"], "the third wait")
    waiting = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and f"exits.entry\0{root}\0{id}" in remains.read(f"{entry}/cmdline")
    ]
    assert waiting
    for pid in waiting:
        os.kill(pid, 9)
    with open_engine(root):
        pass
    remains.eventually(lambda: len(starts(root, id)) > 3, "the next run")
    remove(root, id, before)

"""Several processes on one root at once, without a daemon: one wins, the others hear docker's words, the state stays whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidock.daemon import open_engine
from minidock.daemon.containers import create, inspect, ps, rm, run, start, stop, wait
from minidock.daemon.engine import Engine
from minidock.errors import APIError
from tests.linux.robust import remains

MINIDOCK = str(Path(sys.executable).parent / "minidock")
PROCESSES = 8
Outcome = str  # "" when it worked, else "Class: explanation"


def at_once(root: Path, job: Callable[[Engine, int], None], count: int = PROCESSES) -> list[Outcome]:
    """`job(engine, number)` in processes of their own, each with its own engine, released together; how each ended."""
    gate, opener = os.pipe()
    children = []
    for number in range(count):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            os.close(reader)
            _child(root, job, number, gate, writer)
        os.close(writer)
        children.append((pid, reader))
    os.close(gate)
    os.close(opener)
    outcomes = []
    for pid, reader in children:
        with os.fdopen(reader) as answer:
            outcomes.append(answer.read() or "died")
        os.waitpid(pid, 0)
    return ["" if outcome == "ok" else outcome for outcome in outcomes]


def _child(root: Path, job: Callable[[Engine, int], None], number: int, gate: int, writer: int) -> None:
    said = "ok"
    try:
        with open_engine(root) as engine:
            os.read(gate, 1)
            job(engine, number)
    except APIError as error:
        said = f"{type(error).__name__}: {error.explanation}"
    except BaseException as error:  # noqa: BLE001  the test's own process shows it
        said = f"unexpected {error!r}\n{traceback.format_exc()}"
    os.write(writer, said.encode())
    os._exit(0)


def make(engine: Engine, *command: str, name: str | None = None, mode: str = "none") -> str:
    return str(create.create(engine, {"Image": "busybox", "Cmd": list(command)}, {"NetworkMode": mode}, name)["Id"])


def look(root: Path) -> remains.Remains:
    with open_engine(root) as engine:
        return remains.look(engine)


def test_one_name(root: Path) -> None:
    """Of several who want the same name at once one gets it; the others are told by whom it is used, and leave nothing."""
    before = look(root)
    for _ in range(5):
        outcomes = at_once(root, lambda engine, _: make(engine, "true", name="wanted") and None)
        with open_engine(root) as engine:
            (shown,) = ps.ps(engine, all=True)
            said = (
                f'Conflict: Conflict. The container name "/wanted" is already in use by container "{shown["Id"]}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
            assert sorted(outcomes) == ["", *[said] * (PROCESSES - 1)]
            rm.rm(engine, "wanted")
    assert remains.settled(root, before) == []


def test_start_by_all(root: Path) -> None:
    before = look(root)
    for _ in range(5):
        with open_engine(root) as engine:
            id = make(engine, "sleep", "1000")
        outcomes = at_once(root, lambda engine, _, id=id: start.start(engine, id) and None)  # type: ignore[misc]
        assert sorted(outcomes) == ["", *["NotModified: container is already running"] * (PROCESSES - 1)]
        with open_engine(root) as engine:
            assert inspect.inspect(engine, id)["State"]["Running"]
            rm.rm(engine, id, force=True)
    assert remains.settled(root, before) == []


def test_stop_by_all(root: Path) -> None:
    before = look(root)
    with open_engine(root) as engine:
        id = make(engine, "sleep", "1000")
        start.start(engine, id)
    outcomes = at_once(root, lambda engine, _: stop.stop(engine, id, 0))
    assert "" in outcomes
    assert set(outcomes) <= {"", "NotModified: container is already stopped"}
    with open_engine(root) as engine:
        assert inspect.inspect(engine, id)["State"]["ExitCode"] == 137
    outcomes = at_once(root, lambda engine, _: rm.rm(engine, id))
    assert outcomes.count("") == 1
    assert set(outcomes) == {"", f"ContainerNotFound: No such container: {id}"}
    assert remains.settled(root, before) == []


def test_everything_at_once(root: Path) -> None:
    """start, stop, rm -f, inspect, wait and create of one name, mixed by a seed: docker's words only, a whole state."""
    before, seed = look(root), 1504
    dice = random.Random(seed)
    allowed = ("NotModified", "ContainerNotFound", "Conflict")
    for _ in range(20):
        with open_engine(root) as engine:
            make(engine, "sh", "-c", "sleep 0.05; exit 3", name="shared")
        verbs: list[Callable[[Engine], Any]] = [
            lambda engine: start.start(engine, "shared"),
            lambda engine: stop.stop(engine, "shared", 0),
            lambda engine: rm.rm(engine, "shared", force=True),
            lambda engine: make(engine, "true", name="shared"),
            lambda engine: wait.wait(engine, "shared", timeout=20),
            lambda engine: json.dumps([inspect.inspect(engine, "shared", size=True), ps.ps(engine, all=True, size=True)]),
        ]
        plan = [[dice.choice(verbs) for _ in range(4)] for _ in range(PROCESSES)]
        outcomes = at_once(root, lambda engine, number, plan=plan: each(engine, plan[number], allowed))  # type: ignore[misc]
        assert outcomes == [""] * PROCESSES, seed
        with open_engine(root) as engine:
            for shown in ps.ps(engine, all=True):
                rm.rm(engine, shown["Id"], force=True)
    assert remains.settled(root, before) == []


def each(engine: Engine, verbs: list[Callable[[Engine], Any]], allowed: tuple[str, ...]) -> None:
    for verb in verbs:
        try:
            verb(engine)
        except APIError as error:
            if type(error).__name__ not in allowed:
                raise


def test_engines_that_come_and_go(root: Path) -> None:
    """Each start of an engine cleans up: never what another process is just making or taking apart."""
    before = look(root)

    def job(_engine: Engine, number: int) -> None:
        for turn in range(5):
            with open_engine(root) as engine:
                config = {"Image": "busybox", "Cmd": ["sh", "-c", f"exit {number + turn}"]}
                mode = "bridge" if number % 2 else "none"
                assert run.run(engine, config, {"NetworkMode": mode, "AutoRemove": True}).exit_code == number + turn

    assert at_once(root, job) == [""] * PROCESSES
    assert remains.settled(root, before) == []


def test_addresses_are_given_once(root: Path) -> None:
    before = look(root)
    job = lambda engine, _: start.start(engine, make(engine, "sleep", "1000", mode="bridge")) and None  # noqa: E731
    assert at_once(root, job) == [""] * PROCESSES
    with open_engine(root) as engine:
        ids = [shown["Id"] for shown in ps.ps(engine)]
        addresses = {inspect.inspect(engine, id)["NetworkSettings"]["IPAddress"] for id in ids}
        assert len(ids) == len(addresses) == PROCESSES and "" not in addresses
        for id in ids:
            rm.rm(engine, id, force=True)
    assert remains.settled(root, before) == []


def test_exit_codes_of_run_rm(root: Path) -> None:
    """The container is gone a moment after its end: the command that waits for it knows the exit code all the same."""
    before = look(root)
    environment = {**os.environ, "MINIDOCK_ROOT": str(root)}
    command = [MINIDOCK, "run", "--rm", "--net=none", "busybox", "sh", "-c", "exit 5"]
    for _ in range(5):
        processes = [subprocess.Popen(command, env=environment) for _ in range(PROCESSES)]
        assert [process.wait() for process in processes] == [5] * PROCESSES
    assert remains.settled(root, before) == []


def test_waiting_for_what_is_removed_at_once(root: Path) -> None:
    """In another process there is an exit code, or no such container; never a made-up code."""

    def job(engine: Engine, number: int) -> None:
        if number == 0:
            start.start(engine, "brief")
            engine.exits.close()
        else:
            assert wait.wait(engine, "brief", "removed", timeout=20)["StatusCode"] == 5

    for _ in range(5):
        with open_engine(root) as engine:
            config = {"Image": "busybox", "Cmd": ["sh", "-c", "exit 5"]}
            create.create(engine, config, {"NetworkMode": "none", "AutoRemove": True}, "brief")
        outcomes = at_once(root, job)
        assert all(outcome == "" or outcome.startswith("ContainerNotFound") for outcome in outcomes), outcomes

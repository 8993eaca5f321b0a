"""A fault after every single step of create, start, exec, stop and rm, and a SIGKILL there: nothing is left behind.

The steps are not listed here: a first, undisturbed run under `Engine.trace` says which there are in the engine, in the shim and
in init. Then the verb is done once for each, with a `FaultPlan` for that step.

* After an **injected error** the verb either raised, and then everything is as before it, or it succeeded in spite of it.
* After a **SIGKILL** of the engine's process a new engine on the same root must find, or make, everything whole.

"Everything" is what the instance can have on this machine: names, addresses, folders, layers, run directories, cgroups,
processes, mounts, and descriptors of this process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from minidock import errors
from minidock.daemon import open_engine
from minidock.daemon.containers import create, inspect, rm, start, stop, wait
from minidock.daemon.containers import exec as exec_verb
from minidock.daemon.engine import Engine
from minidock.daemon.system.teardown import teardown
from minidock.linux.trace import FaultPlan, InjectedFault
from tests.linux.daemon.conftest import install_busybox

COMMAND = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 100 & wait; done"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, busybox_tar: bytes) -> Iterator[Path]:
    """One instance for all: what one case leaves behind is the next one's difference."""
    root = tmp_path_factory.mktemp("faults") / "root"
    try:
        with open_engine(root) as engine:
            install_busybox(engine, busybox_tar)
            warm(engine)
        yield root
    finally:
        teardown(root)


def warm(engine: Engine) -> None:
    """A first container: the zygote, the compiled profile and the parent cgroup stay, and are no leak."""
    id = made(engine)
    start.start(engine, id)
    rm.rm(engine, id, force=True)


def made(engine: Engine, name: str | None = None) -> str:
    config = {"Image": "busybox", "Cmd": COMMAND, "Volumes": {"/data": {}}}
    return str(create.create(engine, config, {"NetworkMode": "none"}, name)["Id"])


@dataclass(frozen=True)
class Traces:
    """All that the instance has on this machine."""

    rows: frozenset[tuple[Any, ...]]
    files: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]
    mounts: frozenset[str]
    fds: frozenset[str]


def traces(engine: Engine) -> Traces:
    """Look. What a zygote keeps ready (a spare shim) comes and goes by itself and is not a container's."""
    paths = engine.paths
    tables = ("names", "addresses", "ports")
    rows = frozenset((t, *row) for t in tables for row in engine.links.execute(f"SELECT * FROM {t}").fetchall())
    folders = (paths.containers, paths.tmp, paths.volumes, paths.root / "overlay", paths.run, paths.exec)
    there = [str(f / n) for f in folders if f.exists() for n in os.listdir(f) if "zygote" not in n]
    files = frozenset(name for name in there if name != f"{paths.exec}/looked")  # one for the instance, from the first exec on
    cgroups, processes = set(), set()
    for top in Path("/sys/fs/cgroup").glob(f"*/{paths.instance}"):
        for folder, _names, _files in os.walk(top):
            if folder.endswith("/shims"):
                continue
            cgroups.add(folder)
            processes |= {f"{folder} {pid}" for pid in Path(folder, "cgroup.procs").read_text().split()}
    mounts = frozenset(line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(paths.root) in line)
    scratch = f"{paths.tmp}/{os.getpid()}-"
    files = frozenset(name for name in files if not name.startswith(scratch))
    return Traces(rows, files, frozenset(cgroups), frozenset(processes), mounts, descriptors(str(paths.tmp)))


def descriptors(scratch: str) -> frozenset[str]:
    """This process's open files, numbered within each name: their own numbers mean nothing."""
    seen: list[str] = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
        if name.startswith("socket:"):
            name = "socket"
        if scratch not in name and "linkgraph.db" not in name:
            seen.append(name)
    return frozenset(f"{name} #{seen[:n].count(name)}" for n, name in enumerate(seen))


def quiet() -> None:
    """Wait for the threads that look after exits: what they hold, they hold a moment longer than the container lives."""
    for thread in threading.enumerate():
        if thread.name.startswith("exit-"):
            thread.join(10)


def left(before: Traces, now: Traces) -> list[str]:
    """What there is more, and what there is less."""
    found = []
    for name in ("rows", "files", "cgroups", "processes", "mounts", "fds"):
        was, is_ = getattr(before, name), getattr(now, name)
        found += [f"{name}: +{item}" for item in sorted(map(str, is_ - was))]
        found += [f"{name}: -{item}" for item in sorted(map(str, was - is_)) if name != "processes"]
    return found


@dataclass
class Case:
    """A verb: `prepare` returns what it works on, `act` is what fails, `clean` takes away what a success has made."""

    prepare: Callable[[Engine], str]
    act: Callable[[Engine, str], None]
    clean: Callable[[Engine, str], None]


def create_act(engine: Engine, _: str) -> None:
    made(engine, "victim")


def running(engine: Engine) -> str:
    id = made(engine)
    start.start(engine, id)
    return id


def exec_act(engine: Engine, id: str) -> None:
    exec_id = exec_verb.exec_create(engine, id, {"Cmd": ["true"]})["Id"]
    sock = exec_verb.exec_start(engine, exec_id)
    assert sock is not None
    with sock:
        while sock.recv(1024):
            pass
    exec_verb.exec_wait(engine, exec_id)


def remove(engine: Engine, ref: str) -> None:
    try:
        rm.rm(engine, ref, force=True, volumes=True)
    except errors.ContainerNotFound:
        return


CASES = {
    "create": Case(lambda _: "", create_act, lambda engine, _: remove(engine, "victim")),
    "start": Case(made, lambda engine, id: start.start(engine, id) and None, remove),
    "exec": Case(running, exec_act, remove),
    "stop": Case(running, lambda engine, id: stop.stop(engine, id, 5), remove),
    "rm": Case(made, lambda engine, id: rm.rm(engine, id, volumes=True), remove),
    "rm -f": Case(running, lambda engine, id: rm.rm(engine, id, force=True, volumes=True), remove),
}


def count_steps(root: Path, case: Case) -> dict[str, int]:
    """Steps of an undisturbed run, by process."""
    with open_engine(root) as engine:
        subject = case.prepare(engine)
        with engine.trace() as steps:
            case.act(engine, subject)
        case.clean(engine, subject)
    return {process: sum(step.process == process for step in steps) for process in ("engine", "shim", "init")}


def verify_verb(engine: Engine, verb: str, subject: str) -> None:
    """What the verb worked on can still be used: the fault has not left it stuck."""
    if verb == "create":
        remove(engine, "victim")
        made(engine, "victim")
        remove(engine, "victim")
    elif verb in ("start", "stop", "exec"):
        if verb == "stop":
            with contextlib.suppress(errors.NotModified):
                stop.stop(engine, subject, 5)
        state = inspect.inspect(engine, subject)["State"]
        if not state["Running"]:
            start.start(engine, subject)
        exec_act(engine, subject)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("verb", CASES)
def test_an_error_after_each_step(root: Path, verb: str) -> None:
    case = CASES[verb]
    counts = count_steps(root, case)
    assert counts["engine"] > 0, "a verb without a step proves nothing"
    problems, raised = [], 0
    for process, count in counts.items():
        for number in range(1, count + 1):
            with open_engine(root) as engine:
                before = traces(engine)
                subject = case.prepare(engine)
                try:
                    with engine.trace(FaultPlan(process, number)) as steps:
                        case.act(engine, subject)
                except (errors.SystemFault, InjectedFault):
                    raised += 1
                verify_verb(engine, verb, subject)
                case.clean(engine, subject)
                quiet()
                found = left(before, traces(engine))
            with open_engine(root) as engine:
                found = found and left(before, traces(engine))
            at = [step for step in steps if step.process == process][number - 1 : number]
            if found:
                problems.append(f"{process} {number} ({at}): {found}")
    assert raised, "not one fault was felt"
    assert not problems, "\n".join(problems)


def killed_at(root: Path, verb: str, number: int, subject: str) -> bool:
    """Do the verb in a process of its own that SIGKILLs itself after engine step `number`. False if it got to its end."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with Engine(root) as engine, engine.trace(FaultPlan("engine", number, kill=True)):
                CASES[verb].act(engine, subject)
            code = 0
        finally:
            os._exit(code)
    _pid, ended = os.waitpid(pid, 0)
    return os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL


@pytest.mark.timeout(600)
@pytest.mark.parametrize("verb", ["create", "start", "stop", "rm", "rm -f"])
def test_a_kill_after_each_step(root: Path, verb: str) -> None:
    case = CASES[verb]
    count = count_steps(root, case)["engine"]
    problems, kills = [], 0
    for number in range(1, count + 1):
        with open_engine(root) as engine:
            before = traces(engine)
            subject = case.prepare(engine)
        kills += killed_at(root, verb, number, subject)
        with open_engine(root) as engine:
            if subject:
                settle(engine, subject)
            case.clean(engine, subject)
            quiet()
            found = left(before, traces(engine))
        if found:
            problems.append(f"step {number}: {found}")
    assert kills, "nobody was killed"
    assert not problems, "\n".join(problems)


def settle(engine: Engine, subject: str) -> None:
    """A start whose engine was killed is either taken back by its shim or goes through: wait until that is decided."""
    try:
        if inspect.inspect(engine, subject)["State"]["Running"]:
            with contextlib.suppress(errors.NotModified):  # a kill that was on its way has come first
                stop.stop(engine, subject, 0)
            wait.wait(engine, subject, timeout=10)
    except errors.ContainerNotFound:
        return


def test_the_check_sees_a_leak(root: Path) -> None:
    """Control: each kind of thing left behind is found."""
    with open_engine(root) as engine:
        assert engine.exits  # it has a descriptor of its own as long as the engine is open
        before = traces(engine)
        assert left(before, traces(engine)) == []
        id = running(engine)
        ours, theirs = socket.socketpair()
        fd = os.open("/dev/null", os.O_RDONLY)
        kinds = {line.split(":")[0] for line in left(before, traces(engine))}
        os.close(fd)
        ours.close(), theirs.close()
        assert kinds >= {"rows", "files", "cgroups", "processes", "fds"}
        rm.rm(engine, id, force=True, volumes=True)
        quiet()
        assert left(before, traces(engine)) == []

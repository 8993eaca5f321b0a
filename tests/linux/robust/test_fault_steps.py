"""A fault after every step of what tests/linux/daemon/test_faults.py leaves out: images, the other verbs, bridge and user
namespace in a start, and a SIGKILL of starter, shim and init.

Which steps there are a first, undisturbed run says (`Engine.trace`). A usual run strikes after the first and the last step of
each kind (process, name and the function that asked for it); ``--all`` after every single one.

After an **error** the verb either raised, and everything is as before, or it succeeded in spite of it. After a **SIGKILL** the
next engine on the root finds, or makes, everything whole. Then the same thing must still work.
"""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from minidock import errors
from minidock.daemon import open_engine
from minidock.daemon.containers import create, inspect, kill, pause, ps, rename, restart, rm, run, start, unpause
from minidock.daemon.containers import exec as exec_verb
from minidock.daemon.engine import Engine
from minidock.daemon.images import import_, load, rmi, tag
from minidock.linux.trace import FaultPlan, InjectedFault, Step
from tests.linux.graph import archives
from tests.linux.robust import remains

# The injection swallows what the step returned: a descriptor, with these. In another process it goes with that process.
RETURN_A_DESCRIPTOR = ("fsopen", "fsmount", "fspick", "open_tree", "openat2", "pidfd_open", "inotify_init1")
COMMAND = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 100 & wait; done")
LAYERS = tuple(archives.files({f"{n}/file": b"x" * 5000, "same": str(n).encode()}) for n in range(3))
ARCHIVE = archives.docker_archive(*LAYERS, tags=("victim:one", "victim:two"))

Kind = tuple[str, str, str]  # process, name, source
Target = tuple[str, int, str]  # process, number of the step in it, name


@dataclass(frozen=True)
class Case:
    """A verb: `prepare` returns what it works on, `act` is what fails, `clean` takes away what a success has made."""

    prepare: Callable[[Engine], str]
    act: Callable[[Engine, str], object]
    clean: Callable[[Engine, str], None]


def nothing(_engine: Engine) -> str:
    return ""


def made(engine: Engine, **host: Any) -> str:
    config = {"Image": "busybox", "Cmd": list(COMMAND), "Volumes": {"/data": {}}, "Tty": host.pop("Tty", False)}
    return str(create.create(engine, config, {"NetworkMode": "none", **host}, host.pop("name", None))["Id"])


def running(engine: Engine, **host: Any) -> str:
    id = made(engine, **host)
    start.start(engine, id)
    return id


def paused(engine: Engine) -> str:
    id = running(engine)
    pause.pause(engine, id)
    return id


def remove(engine: Engine, ref: str) -> None:
    try:
        rm.rm(engine, ref, force=True, volumes=True)
    except errors.ContainerNotFound:
        return


def remove_images(engine: Engine, _: str) -> None:
    for image in engine.images.images():
        for name in engine.images.references(image.id):
            if "victim" in name:
                rmi.rmi(engine, name)
    for image in engine.images.images():
        if not engine.images.references(image.id):
            rmi.rmi(engine, image.id)


def loaded(engine: Engine) -> str:
    list(load.load(engine, io.BytesIO(ARCHIVE)))
    return "victim:one"


def import_one(engine: Engine, _: str) -> None:
    tar = io.BytesIO(archives.files({"etc/file": b"text"}))
    list(import_.import_(engine, "-", tar, repository="victim", tag="imported"))


def exec_one(engine: Engine, id: str, **options: Any) -> None:
    exec_id = exec_verb.exec_create(engine, id, {"Cmd": ["true"], "AttachStdout": True, **options})["Id"]
    sock = exec_verb.exec_start(engine, exec_id)
    assert sock is not None
    with sock:
        while sock.recv(1024):
            pass
    exec_verb.exec_wait(engine, exec_id)


def rename_it(engine: Engine, id: str) -> None:
    rename.rename(engine, id, "renamed-victim")


def run_it(engine: Engine, _: str) -> None:
    run.run(engine, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none", "AutoRemove": True})


def remove_created(engine: Engine, _: str) -> None:
    """Killed between its create and its start: a whole container, as docker's would stay."""
    for shown in ps.ps(engine, all=True, filters={"status": ["created"]}):
        remove(engine, shown["Id"])


def rmi_both(engine: Engine) -> None:
    for name in ("victim:one", "victim:two"):
        try:
            rmi.rmi(engine, name)
        except errors.ImageNotFound:
            continue


CASES = {
    "load": Case(nothing, lambda e, _: loaded(e), remove_images),
    "import": Case(nothing, import_one, remove_images),
    "tag": Case(nothing, lambda e, _: tag.tag(e, "busybox", "victim", "tagged"), remove_images),
    "rmi": Case(loaded, lambda e, _: rmi_both(e), remove_images),
    "create remapped": Case(nothing, lambda e, _: made(e, UsernsMode="remap", name="victim"), lambda e, _: remove(e, "victim")),
    "start bridge": Case(lambda e: made(e, NetworkMode="bridge"), start.start, remove),
    "start remapped": Case(lambda e: made(e, UsernsMode="remap"), start.start, remove),
    "start tty init": Case(lambda e: made(e, Tty=True, Init=True), start.start, remove),
    "exec tty": Case(running, lambda e, id: exec_one(e, id, Tty=True), remove),
    "restart": Case(running, lambda e, id: restart.restart(e, id, 0), remove),
    "kill": Case(running, kill.kill, remove),
    "pause": Case(running, pause.pause, remove),
    "unpause": Case(paused, unpause.unpause, remove),
    "rename": Case(made, rename_it, remove),
    "run": Case(nothing, run_it, remove_created),
}


def kinds(steps: list[Step]) -> dict[Kind, list[int]]:
    """The numbers (1-based, in the order they were finished) of the steps of each kind in their process."""
    found: dict[Kind, list[int]] = {}
    numbers = dict.fromkeys(("engine", "shim", "init"), 0)
    for step in sorted(steps, key=lambda step: step.start + step.duration):
        numbers[step.process] += 1
        found.setdefault((step.process, step.name, step.source), []).append(numbers[step.process])
    return found


def seen(root: Path, case: Case) -> dict[Kind, list[int]]:
    """The steps of an undisturbed run."""
    with open_engine(root) as engine:
        subject = case.prepare(engine)
        with engine.trace() as steps:
            case.act(engine, subject)
        case.clean(engine, subject)
    assert any(step.process == "engine" for step in steps), "a verb without a step proves nothing"
    return kinds(steps)


@pytest.fixture(scope="module")
def few(root: Path) -> dict[str, list[Target]]:
    """For each verb: the first and the last step of each kind; of those inside shim and init only what no verb before had."""
    found: dict[str, list[Target]] = {}
    known: set[Kind] = set()
    for verb, case in CASES.items():
        steps = seen(root, case)
        new = {kind: {numbers[0], numbers[-1]} for kind, numbers in steps.items() if kind[0] == "engine" or kind not in known}
        known |= steps.keys()
        found[verb] = sorted((process, number, name) for (process, name, _source), ns in new.items() for number in ns)
    return found


def usable(engine: Engine, subject: str) -> None:
    """The container the verb worked on, if it is still there, is not stuck: it can be started and entered."""

    def entered() -> bool:
        try:
            state = inspect.inspect(engine, subject)["State"]
            if state["Paused"]:
                unpause.unpause(engine, subject)
            elif not state["Running"]:
                start.start(engine, subject)
            exec_one(engine, subject)
        except (errors.Conflict, errors.NotModified, errors.StartError):
            return False  # it is just ending: the signal was sent before the fault
        return bool(inspect.inspect(engine, subject)["State"]["Running"])

    if engine.paths.container(subject).exists():
        remains.eventually(entered, f"{subject} can be used")


def strike(root: Path, case: Case, plan: FaultPlan, name: str) -> tuple[bool, list[str]]:
    """Do the verb once with `plan`; whether it was felt, and what was left when all was cleaned up."""
    with open_engine(root) as engine:
        before = remains.look(engine)
        subject = case.prepare(engine)
    felt = killed(root, case, plan, subject) if plan.kill and plan.process == "engine" else raised(root, case, plan, subject)
    with open_engine(root) as engine:
        if subject:
            usable(engine, subject)
        case.clean(engine, subject)
    ignore = ("fds",) if name in RETURN_A_DESCRIPTOR else ()
    return felt, remains.settled(root, before, ignore=ignore)


def raised(root: Path, case: Case, plan: FaultPlan, subject: str) -> bool:
    """Here: whether an error came out of the verb."""
    with open_engine(root) as engine:
        try:
            with engine.trace(plan):
                case.act(engine, subject)
        except (errors.SystemFault, errors.APIError, InjectedFault):
            return True
    return False


def killed(root: Path, case: Case, plan: FaultPlan, subject: str) -> bool:
    """In a process of its own: whether it was killed."""
    pid = os.fork()
    if pid == 0:
        try:
            with Engine(root) as engine, engine.trace(plan):
                case.act(engine, subject)
        finally:
            os._exit(1)
    _pid, ended = os.waitpid(pid, 0)
    return os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGKILL


def strike_all(root: Path, verb: str, targets: list[Target], *, kill: bool) -> None:
    problems, felt = [], 0
    for process, number, name in targets:
        hit, left = strike(root, CASES[verb], FaultPlan(process, number, kill), name)
        felt += hit
        if left:
            problems.append(f"{process} {number} ({name}): {left}")
    where = {p: sum(target[0] == p for target in targets) for p in ("engine", "shim", "init")}
    print(f"{verb}: {len(targets)} steps struck {where}, {felt} felt")  # noqa: T201  shown by -rP
    assert felt, "not one fault was felt"
    assert not problems, "\n".join(problems)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kill", [False, True], ids=["error", "kill"])
@pytest.mark.parametrize("verb", CASES)
def test_after_each_kind_of_step(root: Path, few: dict[str, list[Target]], verb: str, kill: bool) -> None:
    strike_all(root, verb, few[verb], kill=kill)


@pytest.mark.all
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kill", [False, True], ids=["error", "kill"])
@pytest.mark.parametrize("verb", CASES)
def test_after_every_step(root: Path, verb: str, kill: bool) -> None:
    steps = seen(root, CASES[verb])
    strike_all(root, verb, sorted((k[0], n, k[1]) for k, numbers in steps.items() for n in numbers), kill=kill)

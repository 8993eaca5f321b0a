"""A fault after every single step, and a SIGKILL there: no process, no cgroup, no mount, no descriptor stays."""

from __future__ import annotations

import json
import os
import select
import signal
from pathlib import Path

import pytest

from minidock.errors import SystemFault
from minidock.libcontainer import cgroups
from minidock.libcontainer.config import Config, IdMap, Namespaces, TimeOffsets
from minidock.libcontainer.container import Stdio, create
from minidock.linux import trace
from tests.linux.libcontainer.box import Box, execute

MAP = (IdMap(0, 100_000, 65_536),)


Steps = dict[str, list[int]]


def _attempt(config: Config, plan: trace.FaultPlan | None) -> Steps | None:
    """Start, run and destroy in a process of its own. Returns process → the numbers of its steps that a fault can follow (a
    step that failed by itself, such as looking for a path to mask, gets no second fault); None if the start failed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        answer: Steps | None = None
        try:
            answer = _inside(config, plan)
        finally:
            os.write(writer, json.dumps(answer).encode())
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read()
    os.waitpid(pid, 0)
    result: Steps | None = json.loads(text or "null")
    return result


def _inside(config: Config, plan: trace.FaultPlan | None) -> Steps | None:
    tracer = trace.Tracer("shim", plan)
    trace.install(tracer)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    container = None
    try:
        container = create(config, Stdio(null, null, null), tracer)
        container.ready()
        execute(container)
        container.wait()
        lists = {"shim": tracer.dump(), "init": container.trace()}
        return {name: [n for n, step in enumerate(steps, 1) if not step["errno"]] for name, steps in lists.items()}
    except SystemFault:
        return None
    finally:
        tracer.plan = None
        if container:
            container.destroy()


def _steps(config: Config) -> Steps:
    """Of a second run: the first makes the directories to mount on, and the others find them."""
    _attempt(config, None)
    steps = _attempt(config, None)
    assert steps
    assert len(steps["shim"]) > 10
    assert len(steps["init"]) > 50
    return steps


def _left(config: Config) -> list[str]:
    assert config.cgroup
    group = cgroups.manager(config.cgroup.path)
    return [p for p in group.paths().values() if Path(p).exists()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["plain", "userns and time"])
@pytest.mark.parametrize("where", ["shim", "init"])
def test_a_fault_after_each_step_leaves_nothing(box: Box, kind: str, where: str) -> None:
    own = Namespaces() if kind == "plain" else Namespaces(user="new", cgroup="new", time="new")
    maps = {} if kind == "plain" else {"uid_map": MAP, "gid_map": MAP, "time_offsets": TimeOffsets(0, 100)}
    if kind != "plain":
        os.chown(box.upper, 100_000, 100_000)
    config = box.config("true", namespaces=own, **maps)
    for number in _steps(config)[where]:
        result = _attempt(config, trace.FaultPlan(where, number))
        assert not _left(config), number
        assert result is None or where == "shim", number  # the shim's last steps come after the start


@pytest.mark.timeout(300)
def test_init_killed_after_each_step_is_an_error_and_leaves_nothing(box: Box) -> None:
    config = box.config("true")
    for number in _steps(config)["init"]:
        assert _attempt(config, trace.FaultPlan("init", number, kill=True)) is None, number
        assert not _left(config), number


def test_a_killed_parent_takes_its_child_along(box: Box) -> None:
    config = box.config("sleep", "60")
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        container = create(config, Stdio(null, null, null))
        container.ready()
        execute(container)
        os.write(writer, str(container.pid).encode())
        signal.pause()
    os.close(writer)
    child = os.pidfd_open(int(os.read(reader, 20)))
    os.close(reader)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert select.select([child], [], [], 10)[0]
    os.close(child)
    cgroups.manager(config.cgroup.path).remove()  # type: ignore[union-attr]

"""A fault after every single step, and a SIGKILL there: no process, no cgroup, no mount, no descriptor stays."""

from __future__ import annotations

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
from tests.linux.libcontainer.box import Box

MAP = (IdMap(0, 100_000, 65_536),)


def _attempt(config: Config, plan: trace.FaultPlan | None) -> tuple[int, int]:
    """Start, run and destroy in a process of its own; returns the steps made by (shim, init), or (-1, -1) if it failed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        answer = b"-1 -1"
        try:
            answer = _inside(config, plan)
        finally:
            os.write(writer, answer)
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read()
    os.waitpid(pid, 0)
    one, two = map(int, (text or b"-1 -1").split())
    return one, two


def _inside(config: Config, plan: trace.FaultPlan | None) -> bytes:
    tracer = trace.Tracer("shim", plan)
    trace.install(tracer)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    container = None
    try:
        container = create(config, Stdio(null, null, null), tracer)
        container.ready()
        container.go()
        container.wait()
        return b"%d %d" % (len(tracer.steps), len(container.trace()))
    except SystemFault:
        return b"-1 -1"
    finally:
        tracer.plan = None
        if container:
            container.destroy()


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
    shim, init = _attempt(config, None)
    assert shim > 10
    assert init > 50
    for number in range(1, (shim if where == "shim" else init) + 1):
        result = _attempt(config, trace.FaultPlan(where, number))
        assert not _left(config), number
        if where == "init":
            assert result == (-1, -1), number


@pytest.mark.timeout(300)
def test_init_killed_after_each_step_is_an_error_and_leaves_nothing(box: Box) -> None:
    config = box.config("true")
    _shim, init = _attempt(config, None)
    for number in range(1, init + 1):
        assert _attempt(config, trace.FaultPlan("init", number, kill=True)) == (-1, -1), number
        assert not _left(config), number


def test_a_killed_parent_takes_its_child_along(box: Box) -> None:
    config = box.config("sleep", "60")
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        container = create(config, Stdio(null, null, null))
        container.ready()
        container.go()
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

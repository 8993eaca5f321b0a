"""A fault after every single step of a start, an exec and an exit, in the starter, in the shim and in init: nothing is left."""

from __future__ import annotations

import errno
import os
import signal

import pytest

from minidock import errors
from minidock.linux import trace
from minidock.linux.trace import FaultPlan, Tracer
from tests.linux.shim.instance import Container, Instance


def traced(container: Container, plan: FaultPlan | None = None) -> list[trace.Step]:
    """Run a container to its end with a tracer installed; its steps. Errors pass through."""
    tracer = Tracer("engine", plan)
    before = trace.install(tracer)
    try:
        with container.start() as process:
            process.wait(20)
            process.release()
    finally:
        trace.install(before)
    return tracer.steps


def test_the_trace_of_a_run(instance: Instance) -> None:
    steps = traced(instance.container("true"))
    assert {s.process for s in steps} == {"engine", "shim", "init"}
    names = {(s.process, s.name) for s in steps}
    assert {("shim", "clone3"), ("init", "pivot_root"), ("shim", "rmdir")} <= names
    assert all(s.duration >= 0 and s.source.startswith("minidock.") for s in steps)


@pytest.mark.parametrize("where", ["shim", "init"])
def test_a_fault_after_every_step(instance: Instance, where: str) -> None:
    count = sum(s.process == where for s in traced(instance.container("true")))
    failed = 0
    for n in range(1, count + 1):
        c = instance.container("true")
        try:
            traced(c, FaultPlan(where, n))
        except errors.StartError as e:
            assert e.errno == errno.EIO or "injected" in e.detail or "input/output" in e.detail, e
            failed += 1
            assert not (c.folder / "run.json").exists()
        assert c.left() == [], f"after step {n} of {where}"
    assert failed > 12


def test_a_fault_after_every_step_of_an_exec(instance: Instance) -> None:
    c = instance.container("sleep", "1000")
    failed = 0
    with c.start() as process:
        folder = instance.run_dir / c.id / "exec"
        for where in ("shim", "init"):
            for n in range(1, 60):
                tracer = Tracer("engine", FaultPlan(where, n))
                before = trace.install(tracer)
                try:
                    child, _shim = c.exec(process, "true")
                    with child:
                        child.wait(20)
                        child.release()
                except errors.StartError:
                    failed += 1
                finally:
                    trace.install(before)
                assert not [p for p in os.listdir(folder) if p.endswith(".sock")]
        assert failed > 20
        os.kill(process.started.pid, signal.SIGKILL)
        process.wait(10)
        process.release()

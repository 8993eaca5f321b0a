"""The end of a run, known and cleaned up after: also when its shim was killed before it could do either."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from minidock.daemon.base import proc, timestamps
from minidock.daemon.record import execs, network, removal
from minidock.linux.files import write_atomic

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.record.container import Container, State
    from minidock.execdriver import Exit


def wait_for_end(engine: Engine, container: Container, state: State, timeout: float | None = None) -> Exit | None:
    """Block until the run that was last seen in `state` has ended and its end is written down.

    None when there was no shim to tell it: then the container's files say how. Raises TimeoutError after `timeout` seconds.
    """
    ended = engine.execdriver.wait(engine.paths.shim_socket(container.id), timeout)
    if ended is None:
        end_orphan(container)
        proc.wait_for_end(state.pid, state.pid_start)
        record_lost(container, container.state())
    return ended


def settle(engine: Engine, container: Container, state: State) -> None:
    """Leave nothing of a run that has ended: what its shim did not do (it was killed) is done here. Safe to repeat."""
    if not state.run:
        return
    record_lost(container, state)
    network.release(engine, container)
    execs.forget(engine, container.id)


def end_orphan(container: Container) -> State:
    """The container's state, once it has ended if its shim was killed: no container is ever without one."""
    state = container.state()
    if not state.running or state.shim_alive:
        return state
    removal.remove_cgroup(container)
    proc.wait_for_end(state.pid, state.pid_start)
    return container.state()


def record_lost(container: Container, state: State) -> None:
    """In the place of a shim that was killed: remove the cgroup and write exit.json, so that the end has a time that stays."""
    if state.running or int(container.exit_json().get("run", 0)) >= state.run:
        return
    removal.remove_cgroup(container)
    lost = {"run": state.run, "code": state.exit_code, "oom_killed": False, "error": "", "finished_at": timestamps.now()}
    with suppress(FileNotFoundError):  # removed meanwhile
        write_atomic(container.directory / "exit.json", json.dumps(lost))

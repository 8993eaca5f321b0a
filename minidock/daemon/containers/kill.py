"""``kill``: a signal to the container's first process."""

from __future__ import annotations

import signal as signals
from typing import TYPE_CHECKING

from minidock.daemon.base import proc
from minidock.daemon.base.verb import verb
from minidock.daemon.exits.settle import wait_for_end
from minidock.daemon.record.container import Container, State
from minidock.daemon.record.names import lookup
from minidock.daemon.request.defaults import STOP_SIGNAL
from minidock.daemon.request.signals import parse
from minidock.errors import Conflict
from minidock.linux import trace

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

KILL = int(signals.SIGKILL)


@verb
def kill(engine: Engine, ref: str, signal: str | int = "SIGKILL") -> None:
    """Send `signal`; with SIGKILL, wait until the container has ended.

    SIGKILL and the container's own stop signal also end its restart policy. Raises InvalidParameter (the signal),
    ContainerNotFound, Conflict (it does not run).
    """
    number = parse(signal or "SIGKILL")
    container = lookup(engine, ref)
    state = container.state()
    if not state.running:
        raise Conflict(f"Cannot kill container: {ref}: Container {container.id} is not running")
    ends = number in (KILL, parse(container.config.get("StopSignal") or STOP_SIGNAL))
    if ends and not container.record["ManuallyStopped"]:
        with container.locked():
            container.record["ManuallyStopped"] = True
            container.save()
    send(container, state, number)
    if ends and state.status == "paused":
        container.thaw()  # a frozen process takes no signal, not even this one on v1
    if number == KILL:
        wait_for_end(engine, container, state)


def send(container: Container, state: State, number: int) -> None:
    """Send a signal to the container's pid 1 and to no other process that may have got its number since."""
    with trace.step("signal", f"{number} to {state.pid}"):
        proc.signal(state.pid, state.pid_start, number)
    if number == KILL and container.host_config.get("PidMode") not in (None, ""):
        from minidock.execdriver import cgroups

        cgroups.manager(container.cgroup).kill()  # no pid namespace of its own whose end would take the others along

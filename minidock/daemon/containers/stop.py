"""``stop``: the container's stop signal, time to react, then SIGKILL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.containers.kill import KILL, send
from minidock.daemon.exits.restart_wait import call_off
from minidock.daemon.exits.settle import wait_for_end
from minidock.daemon.record.container import Container, State
from minidock.daemon.record.names import lookup
from minidock.daemon.request.defaults import STOP_SIGNAL, STOP_TIMEOUT
from minidock.daemon.request.signals import parse
from minidock.errors import NotModified

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def stop(engine: Engine, ref: str, timeout: int | None = None) -> None:
    """Stop a container; no restart policy starts it again.

    `timeout` in seconds before SIGKILL (default: the container's own, else 10; negative: wait for ever). Raises
    ContainerNotFound, NotModified (it does not run).
    """
    container = lookup(engine, ref)
    state = container.state()
    if not state.active:
        raise NotModified("container is already stopped")
    with container.locked():
        container.record["ManuallyStopped"] = True
        container.save()
    call_off(engine, container)
    state = container.state()
    if state.running:
        end(engine, container, state, timeout)


def end(engine: Engine, container: Container, state: State, timeout: int | None) -> None:
    """Signal, wait, kill. Returns when the exit is written down."""
    if timeout is None:
        timeout = container.config.get("StopTimeout")
    seconds = STOP_TIMEOUT if timeout is None else timeout
    send(container, state, parse(container.config.get("StopSignal") or STOP_SIGNAL))
    if state.status == "paused":
        container.thaw()
    try:
        wait_for_end(engine, container, state, None if seconds < 0 else seconds)
    except TimeoutError:
        send(container, state, KILL)
        wait_for_end(engine, container, state)

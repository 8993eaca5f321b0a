"""``restart``: stop and start under one hold of the container's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.containers import stop
from minidock.daemon.containers.start import start_locked
from minidock.daemon.exits.restart_wait import call_off
from minidock.daemon.record.names import lookup

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def restart(engine: Engine, ref: str, timeout: int | None = None) -> None:
    """Stop the container if it runs (`timeout` as for ``stop``), and start it.

    Whoever wants to do what is due after the exit waits for the lock, then sees a newer run and does nothing: so a --rm
    container survives its restart, as docker's does. Raises ContainerNotFound, StartError.
    """
    container = lookup(engine, ref)
    call_off(engine, container)
    with engine.exits.watcher(container.id) as watch, container.locked():
        state = container.state()
        if state.running:
            stop.end(engine, container, state, timeout)
        watch(start_locked(engine, container))

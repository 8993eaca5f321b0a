"""``rm``: remove a container and what is only its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.containers.kill import KILL, send
from minidock.daemon.exits.restart_wait import call_off
from minidock.daemon.exits.settle import settle, wait_for_end
from minidock.daemon.record import removal
from minidock.daemon.record.names import lookup
from minidock.errors import Conflict

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def rm(engine: Engine, ref: str, *, force: bool = False, volumes: bool = False) -> None:
    """Remove a container; with `force` also one that runs; with `volumes` its anonymous volumes too.

    Raises ContainerNotFound, Conflict (it runs). A SystemFault on the way leaves a remainder that nobody sees and the next
    engine removes.
    """
    container = lookup(engine, ref)
    if force:
        call_off(engine, container)
    with container.locked():
        state = container.state()
        if state.active and not force:
            how = "Unpause and then stop" if state.status == "paused" else "Stop"
            raise Conflict(
                f"You cannot remove a {state.status} container {container.id}. "
                f"{how} the container before attempting removal or force remove"
            )
        if state.running:
            send(container, state, KILL)
            if state.status == "paused":
                container.thaw()
            wait_for_end(engine, container, state)
        settle(engine, container, container.state())
        removal.remove_locked(engine, container, volumes=volumes)

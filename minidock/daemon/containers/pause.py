"""``pause``: the freezer stops every process of the container where it is (cgroup v1 freezer, v2 cgroup.freeze)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.record import records
from minidock.daemon.record.names import lookup
from minidock.errors import Conflict

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def pause(engine: Engine, ref: str) -> None:
    """Freeze a container. Raises ContainerNotFound, Conflict (it does not run, or is paused)."""
    from minidock.execdriver import cgroups

    container = lookup(engine, ref)
    with container.locked():
        state = container.state()
        if state.status == "paused":
            raise Conflict(f"Container {container.id} is already paused")
        if state.status == "restarting":
            raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
        if not state.running:
            raise Conflict(f"Container {container.id} is not running")
        cgroups.manager(container.cgroup).freeze()
        records.note_of(container, "pause")

"""``unpause``: let the container's processes go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.record import records
from minidock.daemon.record.names import lookup
from minidock.errors import Conflict

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def unpause(engine: Engine, ref: str) -> None:
    """Thaw a container. Raises ContainerNotFound, Conflict (it is not paused)."""
    container = lookup(engine, ref)
    with container.locked():
        if container.state().status != "paused":
            raise Conflict(f"Container {container.id} is not paused")
        container.thaw()
        records.note_of(container, "unpause")

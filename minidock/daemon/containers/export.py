"""``export``: a container's file system as one tar, without metadata or history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from minidock.daemon.base import verb
from minidock.daemon.record.names import lookup

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb.stream
def export(engine: Engine, ref: str) -> Iterator[bytes]:
    """The tar, piece by piece; mounts and volumes are not in it, as with docker. Raises ContainerNotFound at once."""
    from minidock.graph.export import export as export_layer

    container = lookup(engine, ref)
    return export_layer(engine.layers, container.id)

"""``docker container prune``. Source: Engine API 1.41, ``POST /containers/prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.daemon.base.timestamps import to_ns
from minidock.daemon.base.verb import verb
from minidock.daemon.containers import rm
from minidock.daemon.record.names import all_containers
from minidock.daemon.request.filters import Filters, known, prunable
from minidock.errors import Conflict, NotFound

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def prune_containers(engine: Engine, filters: Filters | None = None) -> dict[str, Any]:
    """Remove the containers that do not run: ``{"ContainersDeleted", "SpaceReclaimed"}``.

    `filters`: label, label!, until (a time or a duration ago). The space is not counted: 0. Raises InvalidParameter.
    """
    wanted = known(filters, ("label", "label!", "until"))
    deleted = []
    for _name, container in all_containers(engine):
        if container.state().active or not prunable(container.config, to_ns(container.record["Created"]), wanted):
            continue
        try:
            rm.rm(engine, container.id)
        except (Conflict, NotFound):  # started, or removed by somebody else, since we looked
            continue
        deleted.append(container.id)
    return {"ContainersDeleted": deleted or None, "SpaceReclaimed": 0}

"""``docker container prune`` and ``docker image prune``.

Source: Engine API 1.41, ``POST /containers/prune``, ``/images/prune``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minidock.daemon.base.timestamps import parse_when, to_ns
from minidock.daemon.base.verb import verb
from minidock.daemon.containers import rm
from minidock.daemon.images import rmi
from minidock.daemon.images.ls import FALSE, TRUE, Filters, container_config, created_ns, labels_match, references
from minidock.daemon.record.names import all_containers
from minidock.errors import Conflict, InvalidParameter, NotFound

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def prune_containers(engine: Engine, filters: Filters | None = None) -> dict[str, Any]:
    """Remove the containers that do not run: ``{"ContainersDeleted", "SpaceReclaimed"}``.

    `filters`: label, label!, until (a time or a duration ago). The space is not counted: 0. Raises InvalidParameter.
    """
    wanted = _filters(filters, ("label", "label!", "until"))
    deleted = []
    for _name, container in all_containers(engine):
        if container.state().active or not _chosen(container.config, to_ns(container.record["Created"]), wanted):
            continue
        try:
            rm.rm(engine, container.id)
        except (Conflict, NotFound):  # started, or removed by somebody else, since we looked
            continue
        deleted.append(container.id)
    return {"ContainersDeleted": deleted or None, "SpaceReclaimed": 0}


@verb
def prune_images(engine: Engine, filters: Filters | None = None) -> dict[str, Any]:
    """Remove the images without a name that no container uses; with ``dangling=false`` those with a name, too.

    Returns ``{"ImagesDeleted": rmi's records, "SpaceReclaimed": bytes}``. `filters`: dangling, label, label!, until.
    """
    wanted = _filters(filters, ("dangling", "label", "label!", "until"))
    value = (wanted.get("dangling") or ["true"])[0]
    if value not in TRUE + FALSE:
        raise InvalidParameter(f"Invalid filter 'dangling={value}'")
    deleted, freed = [], 0
    for image in engine.images.images():
        names = references(engine, image)
        if (names and value in TRUE) or not _chosen(container_config(image), created_ns(image), wanted):
            continue
        if rmi.using(engine, image.id):
            continue
        try:
            records = rmi.rmi(engine, image.id, force=True)
        except (Conflict, NotFound):
            continue
        deleted += records
        freed += image.size
    return {"ImagesDeleted": deleted or None, "SpaceReclaimed": freed}


def _filters(filters: Filters | None, known: tuple[str, ...]) -> Filters:
    for name in filters or {}:
        if name not in known:
            raise InvalidParameter(f"Invalid filter '{name}'")
    return filters or {}


def _chosen(config: Mapping[str, Any], created: int, filters: Filters) -> bool:
    labels = config.get("Labels")
    if not labels_match(labels, filters.get("label", [])):
        return False
    if any(labels_match(labels, [label]) for label in filters.get("label!", [])):
        return False
    return all(created < parse_when(value, "until") for value in filters.get("until", []))

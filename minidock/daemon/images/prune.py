"""``docker image prune``. Source: Engine API 1.41, ``POST /images/prune``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.daemon.base.verb import verb
from minidock.daemon.images import rmi
from minidock.daemon.images.ls import container_config, created_ns, references
from minidock.daemon.request.filters import FALSE, TRUE, Filters, known, prunable
from minidock.errors import Conflict, InvalidParameter, NotFound

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def prune_images(engine: Engine, filters: Filters | None = None) -> dict[str, Any]:
    """Remove the images without a name that no container uses; with ``dangling=false`` those with a name, too.

    Returns ``{"ImagesDeleted": rmi's records, "SpaceReclaimed": bytes}``. `filters`: dangling, label, label!, until.
    """
    wanted = known(filters, ("dangling", "label", "label!", "until"))
    value = (wanted.get("dangling") or ["true"])[0]
    if value not in TRUE + FALSE:
        raise InvalidParameter(f"Invalid filter 'dangling={value}'")
    deleted, freed = [], 0
    for image in engine.images.images():
        names = references(engine, image)
        if (names and value in TRUE) or not prunable(container_config(image), created_ns(image), wanted):
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

"""``docker tag``: one more name for an image. Source: Engine API 1.41, ``POST /images/{name}/tag``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.graph import reference

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def tag(engine: Engine, ref: str, repository: str, tag: str | None = None) -> None:
    """Name image `ref` ``repository:tag`` (tag: what is in `repository`, else latest). A name in use moves to this image.

    Raises ImageNotFound, and InvalidParameter for a name that cannot be.
    """
    image = engine.images.get(ref)
    engine.images.tag(image.id, reference.for_tagging(repository, tag or ""))

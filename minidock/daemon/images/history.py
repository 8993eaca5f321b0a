"""``docker history``: how an image came to be, a line for each step.

Source: Engine API 1.41, ``GET /images/{name}/history``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.daemon.base.timestamps import to_ns
from minidock.daemon.base.verb import verb
from minidock.daemon.images.ls import layer_sizes, references, tags_and_digests
from minidock.errors import SystemFault

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def history(engine: Engine, ref: str) -> list[dict[str, Any]]:
    """The steps, newest first. Only the newest has an id: the others were images once, in Docker before 1.10.

    A step that made no layer (ENV, CMD) is 0 bytes. Raises ImageNotFound.
    """
    image = engine.images.get(ref)
    sizes = iter(layer_sizes(engine, image))
    steps = []
    for step in image.config.get("history") or []:
        size = 0
        if not step.get("empty_layer"):
            size = next(sizes, -1)
            if size < 0:
                raise SystemFault("read history", image.id, detail="too many non-empty layers in History section")
        steps.append(
            {
                "Id": "<missing>",
                "Created": to_ns(step.get("created") or "") // 10**9,
                "CreatedBy": step.get("created_by", ""),
                "Tags": None,
                "Size": size,
                "Comment": step.get("comment", ""),
            }
        )
    steps.reverse()
    if steps:
        tags, _ = tags_and_digests(references(engine, image))
        steps[0].update(Id=image.id, Tags=tags or None)
    return steps

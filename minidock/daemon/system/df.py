"""``docker system df``: what takes how much disk. Source: Engine API 1.41, ``GET /system/df``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.daemon.base.verb import verb
from minidock.daemon.containers import ps
from minidock.daemon.images.ls import layer_sizes, list_images

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def df(engine: Engine) -> dict[str, Any]:
    """Images and containers with their sizes in bytes. A layer that two images share is counted once in LayersSize."""
    layers: dict[str, int] = {}
    for image in engine.images.images():
        layers.update(zip(image.chain_ids, layer_sizes(engine, image), strict=True))
    containers = ps.ps(engine, all=True, size=True)
    counted = list_images(engine)
    for image_summary in counted:
        image_summary["Containers"] = sum(c["ImageID"] == image_summary["Id"] for c in containers)
        image_summary["SharedSize"] = 0
    return {
        "LayersSize": sum(layers.values()),
        "Images": counted,
        "Containers": containers,
        "Volumes": [],
        "BuildCache": [],
    }

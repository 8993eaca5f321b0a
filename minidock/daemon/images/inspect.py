"""``docker image inspect``: all that is known of an image. Source: Engine API 1.41, ``GET /images/{name}/json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.daemon.base.timestamps import ZERO
from minidock.daemon.base.verb import verb
from minidock.daemon.images.ls import container_config, references, tags_and_digests

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def inspect_image(engine: Engine, ref: str) -> dict[str, Any]:
    """The image `ref` (a name, digest, id or unique id prefix). Raises ImageNotFound."""
    image = engine.images.get(ref)
    config = image.config
    tags, digests = tags_and_digests(references(engine, image))
    history = config.get("history") or []
    layer = engine.images.top_layer(image)
    return {
        "Id": image.id,
        "RepoTags": tags,
        "RepoDigests": digests,
        "Parent": "",
        "Comment": config.get("comment") or (history[-1].get("comment", "") if history else ""),
        "Created": image.created,
        "Container": config.get("container", ""),
        "ContainerConfig": config.get("container_config") or {},
        "DockerVersion": config.get("docker_version", ""),
        "Author": config.get("author", ""),
        "Config": container_config(image),
        "Architecture": config.get("architecture", ""),
        "Os": config.get("os", ""),
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Name": engine.layers.name, "Data": engine.layers.metadata(layer) if layer else None},
        "RootFS": {"Type": "layers", "Layers": list(image.diff_ids)},
        "Metadata": {"LastTagTime": ZERO},
    }

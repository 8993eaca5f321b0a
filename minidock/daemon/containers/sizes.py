"""What a container takes on disk (``--size``)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from minidock.daemon.record.container import Container
from minidock.errors import ImageNotFound

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


def sizes(engine: Engine, container: Container) -> dict[str, int]:
    """``SizeRw``: bytes the container itself wrote; ``SizeRootFs``: with its image's layers."""
    root = engine.layers.root(container.id)
    written = tree_size(root.upper or root.source)
    try:
        image = engine.images.get(container.record["Image"]).size
    except ImageNotFound:
        image = 0
    total = written if root.kind == "bind" else written + image
    return {"SizeRw": written, "SizeRootFs": total}


def tree_size(directory: str) -> int:
    """Bytes of all regular files below `directory`, a file with several names counted once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for path, _directories, names in os.walk(directory):
        for name in names:
            try:
                status = os.lstat(os.path.join(path, name))
            except FileNotFoundError:  # it is a running container's
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total

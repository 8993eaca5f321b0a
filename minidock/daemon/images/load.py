"""``docker load``: images from the archive that ``docker save`` writes. Source: Engine API 1.41, ``POST /images/load``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from minidock.daemon.base import verb

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb.stream
def load(engine: Engine, file: BinaryIO, *, quiet: bool = False) -> Iterator[dict[str, Any]]:
    """Load the archive (plain, or packed with gzip, bzip2 or xz) as the records are taken; `quiet` leaves out the progress.

    The records are the Engine API's: ``{"status", "id", "progressDetail"}``, and one ``{"stream": "Loaded image: …\\n"}`` for
    each image. Raises InvalidParameter for an archive that is none.
    """
    from minidock.graph import load as graph

    return (record for record in graph.load(engine.images, file) if not quiet or "stream" in record)

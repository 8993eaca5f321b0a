"""``minidock bootstrap``: the base images busybox and lab, from this machine's own files. docker has no such verb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def bootstrap(
    engine: Engine, progress: Callable[[str], None] = lambda _line: None, images: Sequence[str] = ("busybox", "lab")
) -> None:
    """Make or refresh the images; `progress` gets one line for each step. Does nothing, in milliseconds, when they are fresh.

    Raises NotSupported when busybox is not installed, SystemFault; KeyError for an image that is not made here.
    """
    from minidock.graph import bootstrap as graph

    graph.bootstrap(engine.images, progress, images)

"""``docker export``: a container's whole tree as one flat tar; and a layer's own changes as a layer tar (commit, save)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from minidock.graph.archive import pack
from minidock.graph.archive.names import WHITEOUT
from minidock.graph.archive.pack import whiteout
from minidock.graphdriver import GraphDriver
from minidock.graphdriver.tree import walk


def export(driver: GraphDriver, layer_id: str) -> Iterator[bytes]:
    """The tree of the layer and its parents as a tar without whiteouts, in pieces. Raises SystemFault, OSError.

    Of a running container it is what the files are at the moment when each is read.
    """
    with driver.mounted(layer_id) as path:
        yield from pack(path)


def diff(driver: GraphDriver, layer_id: str) -> Iterator[bytes]:
    """What the layer alone adds, changes and deletes, as a layer's tar, in pieces."""
    root = driver.root(layer_id)
    if root.kind == "overlay":
        yield from pack(root.upper, overlay=True)
        return
    changes = list(driver.changes(layer_id))
    for change in changes:
        if change.kind == "D":
            folder, base = os.path.split(change.path[1:])
            yield whiteout(os.path.join(folder, WHITEOUT + base))
    kept = {change.path[1:] for change in changes if change.kind != "D"}
    yield from pack(root.source, entries=(entry for entry in walk(root.source) if entry[0] in kept))

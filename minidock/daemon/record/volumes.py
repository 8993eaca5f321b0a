"""Volumes as far as a container needs them: a directory under ``ROOT/volumes``, filled from the image when it is new.

::

    volumes/<name>/lock       held while the volume is being filled
                   filling/   half a volume: renamed when it is whole
                   _data/     what containers see

A named volume's row in linkgraph.db (kind volume) makes it known; an anonymous one has 64 hex digits for a name and goes with
``rm -v`` or ``--rm``. A process killed while it fills one leaves ``filling``; whoever needs the volume next begins anew.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from minidock.daemon.base.rmtree import remove_tree
from minidock.daemon.request.mounts import MountPoint
from minidock.linux import files, trace

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


def resolve(engine: Engine, point: MountPoint) -> MountPoint:
    """The mount point with its source on the host. For -v a missing host directory is made, and stays, as docker's does."""
    if point.kind == "bind":
        if point.make_source and not os.path.exists(point.source):
            with trace.step("mkdir", point.source):
                os.makedirs(point.source, 0o755, exist_ok=True)
        return point._replace(options=() if os.path.isdir(point.source) else ("file",))
    if point.kind != "volume":
        return point
    name = point.name or os.urandom(32).hex()
    return point._replace(name=name, source=str(engine.paths.volumes / name / "_data"))


def prepare(engine: Engine, point: MountPoint, layer: str, owner: tuple[int, int], undo: ExitStack) -> None:
    """Make a volume that is not there yet, with what the image has at its place. `undo` gets its removal."""
    if point.kind != "volume" or os.path.exists(point.source):
        return
    directory = engine.paths.volumes / point.name
    undo.callback(remove_unfinished, engine, point.name)
    with trace.step("mkdir", directory):
        directory.mkdir(mode=0o700, exist_ok=True)
    with files.flock(directory / "lock"):
        if os.path.exists(point.source):
            return  # another container was faster
        undo.callback(remove, engine, point.name)
        engine.links.execute("INSERT OR IGNORE INTO names (name, kind, id) VALUES (?, 'volume', ?)", point.name, point.name)
        filling = directory / "filling"
        remove_tree(filling)
        with trace.step("mkdir", filling):
            filling.mkdir(mode=0o755)
            os.chown(filling, *owner)
        if not point.nocopy:
            from minidock.daemon.record.copy_up import copy_up  # most containers have no volume to fill

            copy_up(engine, layer, point.destination, filling)
        with trace.step("rename", point.source):
            filling.rename(point.source)


def remove_unfinished(engine: Engine, name: str) -> None:
    """Delete a volume that did not become whole; one that somebody else has made meanwhile stays."""
    if not (engine.paths.volumes / name / "_data").exists():
        remove(engine, name)


def remove(engine: Engine, name: str) -> None:
    """Delete a volume and what is in it. Safe to repeat."""
    directory = engine.paths.volumes / name
    if directory.exists():
        with trace.step("remove volume", name):
            remove_tree(directory)
    engine.links.execute("DELETE FROM names WHERE kind='volume' AND name=?", name)

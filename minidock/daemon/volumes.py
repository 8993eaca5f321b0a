"""Volumes as far as a container needs them: a directory under ``ROOT/volumes``, filled from the image when it is new.

A named volume's row in linkgraph.db (kind volume) makes its name unique; an anonymous one has 64 hex digits for a name and
goes with ``rm -v`` or ``--rm``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from minidock.daemon.mounts import MountPoint
from minidock.linux import files, trace

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


def prepare(engine: Engine, points: list[MountPoint], layer: str, owner: tuple[int, int], undo: ExitStack) -> list[MountPoint]:
    """Make what the mounts need on the host: volumes (filled from the image), and for -v a missing directory.

    Whatever is made for the first time is put on `undo`. Returns the mount points with their sources.
    """
    return [_prepare(engine, point, layer, owner, undo) for point in points]


def _prepare(engine: Engine, point: MountPoint, layer: str, owner: tuple[int, int], undo: ExitStack) -> MountPoint:
    if point.kind == "bind":
        if point.make_source and not os.path.exists(point.source):
            with trace.step("mkdir", point.source):
                os.makedirs(point.source, 0o755, exist_ok=True)
        return replace(point, options=() if os.path.isdir(point.source) else ("file",))
    if point.kind != "volume":
        return point
    name = point.name or secrets.token_hex(32)
    directory = engine.paths.volumes / name
    data = directory / "_data"
    claim = Claim(engine, name)
    undo.callback(claim.undo)
    if not claim.take():
        return replace(point, name=name, source=str(data))
    with trace.step("mkdir", data):
        os.makedirs(data, 0o755)
        os.chown(data, *owner)
    if not point.nocopy:
        _copy_up(engine, layer, point.destination, data)
    return replace(point, name=name, source=str(data))


@dataclass
class Claim:
    """A volume's name, taken or found taken. `undo` may be called at any moment: it removes what `take` has made new."""

    engine: Engine
    name: str
    ours: bool = False

    def take(self) -> bool:
        """True if the volume is new, and ours to make."""
        found = self.engine.links.execute("SELECT 1 FROM names WHERE kind='volume' AND name=?", self.name).fetchone()
        if found:
            return False
        self.ours = True
        try:
            self.engine.links.execute("INSERT INTO names (name, kind, id) VALUES (?, 'volume', ?)", self.name, self.name)
        except sqlite3.IntegrityError:  # another container was faster
            self.ours = False
        return self.ours

    def undo(self) -> None:
        """Remove the volume if it is ours."""
        if self.ours:
            remove(self.engine, self.name)


def _copy_up(engine: Engine, layer: str, destination: str, data: Path) -> None:
    """Fill a new volume with what the image has at its place. Links in the image lead nowhere outside it."""
    with ExitStack() as stack:
        root = os.open(stack.enter_context(engine.layers.mounted(layer)), os.O_PATH | os.O_CLOEXEC)
        stack.callback(os.close, root)
        try:
            source = files.openat2(root, destination, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        stack.callback(os.close, source)
        status = os.fstat(source)
        with trace.step("copy up", data):
            shutil.copytree(f"/proc/self/fd/{source}", data, symlinks=True, dirs_exist_ok=True, copy_function=_copy_file)
            _copy_owners(source, data)
        os.chown(data, status.st_uid, status.st_gid)
        os.chmod(data, status.st_mode & 0o7777)


def _copy_file(source: str, target: str) -> None:
    shutil.copy2(source, target, follow_symlinks=False)


def _copy_owners(source: int, data: Path) -> None:
    """Give every copied file the owner it has in the image."""
    for path, directories, names, at in os.fwalk(".", dir_fd=source):
        for name in (*directories, *names):
            status = os.stat(name, dir_fd=at, follow_symlinks=False)
            os.chown(data / path / name, status.st_uid, status.st_gid, follow_symlinks=False)


def remove(engine: Engine, name: str) -> None:
    """Delete a volume and what is in it. Safe to repeat."""
    directory = engine.paths.volumes / name
    if directory.exists():
        with trace.step("remove volume", name):
            shutil.rmtree(directory)
    engine.links.execute("DELETE FROM names WHERE kind='volume' AND name=?", name)

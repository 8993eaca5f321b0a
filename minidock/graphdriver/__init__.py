"""Layers on disk: the small interface that every storage driver speaks (Docker 1.x's ``daemon/graphdriver``).

A *layer* here is a directory tree addressed by an opaque id (the graph's cache id, or a container's id for its writable layer)
with at most one parent. A driver knows nothing of images, digests or tars. One conformance suite
(``tests/linux/graphdriver``) runs on all drivers.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from minidock.libcontainer.config import RootMount


class Change(NamedTuple):
    """One line of ``docker diff``: kind is "C" (changed), "A" (added) or "D" (deleted); path starts with "/"."""

    kind: str
    path: str


class GraphDriver(Protocol):
    """At most eight methods; each raises `minidock.errors.SystemFault` for the machine's faults."""

    name: str

    def create(self, id: str, parent: str | None, *, owner: tuple[int, int] = (0, 0)) -> Path:
        """Make an empty layer on top of `parent`; returns the directory to fill (its diff). `owner` is the root's host
        uid and gid (a container's writable layer under a user namespace)."""
        ...

    def remove(self, id: str) -> None:
        """Delete the layer and what belongs to it. Silently does nothing if it is not there. Safe to repeat."""
        ...

    def exists(self, id: str) -> bool:
        """Whether the layer is there, whole."""
        ...

    def root(self, id: str, *, readonly: bool = False) -> RootMount:
        """How to mount the layer and its parents as one tree. Mounts nothing."""
        ...

    def mounted(self, id: str, *, readonly: bool = True) -> AbstractContextManager[Path]:
        """Mount the tree on the host for the time of a ``with`` (export, diff, cp of a stopped container)."""
        ...

    def changes(self, id: str) -> Iterable[Change]:
        """What the layer changed against its parent, in docker's letters, sorted by path."""
        ...

    def status(self) -> list[tuple[str, str]]:
        """The rows under "Storage Driver" in ``docker info``."""
        ...

    def metadata(self, id: str) -> dict[str, str]:
        """``GraphDriver.Data`` of inspect: LowerDir, UpperDir, WorkDir, MergedDir for overlay."""
        ...

"""Which driver an instance uses: the one asked for, the one it has layers of, or the first that works here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from minidock.errors import MinidockError, NotSupported
from minidock.graphdriver import GraphDriver
from minidock.graphdriver.overlay import Overlay


def _vfs(root: Path) -> GraphDriver:
    from minidock.graphdriver.vfs import Vfs  # hardly ever

    return Vfs(root)


DRIVERS: dict[str, Callable[[Path], GraphDriver]] = {"overlay": Overlay, "vfs": _vfs}  # in docker's order of preference
ALIASES = {"overlay2": "overlay"}


def driver(root: Path, name: str | None = None) -> GraphDriver:
    """The driver of the state directory `root`. Raises NotSupported: an unknown one, or one that does not work here.

    Without a name: the driver that this root has layers of (docker's "prior storage driver"), else overlay if a trial
    mount succeeds, else vfs. Layers of one driver are invisible to another, so changing it hides all images.
    """
    if name:
        name = ALIASES.get(name, name)
        if name not in DRIVERS:
            raise NotSupported(f"driver not supported: {name}")
        chosen = DRIVERS[name](root / name)
        if name == "overlay" and not _used(root, name) and (reason := _refusal(root)):
            raise NotSupported(f"driver not supported: overlay: {reason}")
        return chosen
    for known, make in DRIVERS.items():
        if _used(root, known):
            return make(root / known)
    return _vfs(root / "vfs") if _refusal(root) else Overlay(root / "overlay")


def _used(root: Path, name: str) -> bool:
    try:
        with os.scandir(root / name) as entries:
            return any(entries)
    except FileNotFoundError:
        return False


def _refusal(root: Path) -> str:
    """Why overlay cannot work on `root`; "" if a trial mount with a file written through it succeeds."""
    trial = Overlay(root / "overlay")
    own = os.urandom(4).hex()
    ids = [f"trial-{own}-{part}" for part in ("lower", "upper")]
    try:
        for parent, id in zip((None, ids[0]), ids, strict=True):
            trial.create(id, parent)
        with trial.mounted(ids[1], readonly=False) as path:
            (path / "probe").write_bytes(b"")
    except (MinidockError, OSError) as e:
        return str(e)
    finally:
        for id in ids:
            trial.remove(id)
    return ""

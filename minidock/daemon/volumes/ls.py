"""``docker volume ls`` and ``inspect``: the volumes that containers brought with them.

Source: Engine API 1.41, ``GET /volumes``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.daemon.base.timestamps import from_ns
from minidock.daemon.base.verb import verb
from minidock.daemon.record.names import all_containers
from minidock.daemon.request.filters import FALSE, TRUE, Filters
from minidock.errors import InvalidParameter, VolumeNotFound

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def list_volumes(engine: Engine, filters: Filters | None = None) -> dict[str, Any]:
    """``{"Volumes": [...], "Warnings": None}``, by name. `filters`: name (a part of it), driver, dangling (true: unused).

    Raises InvalidParameter for another filter.
    """
    rows = engine.links.execute("SELECT name FROM names WHERE kind='volume' ORDER BY name").fetchall()
    names = [row[0] for row in rows]
    for key, values in (filters or {}).items():
        if key == "name":
            names = [name for name in names if any(value in name for value in values)]
        elif key == "driver":
            names = names if "local" in values else []
        elif key == "dangling" and all(value in TRUE + FALSE for value in values):
            used, unused = _used(engine), any(value in TRUE for value in values)
            names = [name for name in names if (name not in used) == unused]
        else:
            raise InvalidParameter(f"Invalid filter '{key}'")
    return {"Volumes": [_volume(engine, name) for name in names], "Warnings": None}


@verb
def inspect_volume(engine: Engine, name: str) -> dict[str, Any]:
    """The volume with this name. Raises VolumeNotFound."""
    if not engine.links.execute("SELECT 1 FROM names WHERE kind='volume' AND name=?", name).fetchone():
        raise VolumeNotFound(name)
    return _volume(engine, name)


def _volume(engine: Engine, name: str) -> dict[str, Any]:
    data = engine.paths.volumes / name / "_data"
    created = from_ns(data.stat().st_ctime_ns) if data.exists() else ""
    return {
        "Name": name,
        "Driver": "local",
        "Mountpoint": str(data),
        "CreatedAt": created,
        "Labels": None,
        "Scope": "local",
        "Options": None,
    }


def _used(engine: Engine) -> set[str]:
    points = (point for _, container in all_containers(engine) for point in container.record.get("MountPoints") or ())
    return {point["name"] for point in points if point.get("name")}

"""``ps``: the containers, newest first, in the shape of Engine API 1.41 (``GET /containers/json``)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from minidock.daemon.base.timestamps import human_duration, to_ns
from minidock.daemon.base.verb import verb
from minidock.daemon.containers import filters as filtering
from minidock.daemon.containers.sizes import sizes
from minidock.daemon.record import network
from minidock.daemon.record.container import Container, State
from minidock.daemon.record.names import all_containers
from minidock.daemon.request.mounts import MountPoint
from minidock.errors import ContainerNotFound, ImageNotFound

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def ps(
    engine: Engine,
    *,
    all: bool = False,
    limit: int = -1,
    size: bool = False,
    filters: Mapping[str, Any] | str | None = None,
) -> list[dict[str, Any]]:
    """Running containers; with `all`, `limit` (the newest so many), or a filter on states, the others too.

    Raises InvalidParameter (filters), ContainerNotFound (a before or since that is not there).
    """
    shown = []
    for name, container, state in _rows(engine, all, limit, filters):
        with suppress(ContainerNotFound), container.reading():
            shown.append(summary(engine, name, container, state, size))
    return shown


@verb
def ids(
    engine: Engine, *, all: bool = False, limit: int = -1, filters: Mapping[str, Any] | str | None = None
) -> list[dict[str, Any]]:
    """What `ps` answers, with ``Id`` alone: no image is looked up, so neither the images nor the storage driver are loaded."""
    return [{"Id": container.id} for _, container, _ in _rows(engine, all, limit, filters)]


def _rows(engine: Engine, all: bool, limit: int, filters: Mapping[str, Any] | str | None) -> list[filtering.Row]:
    wanted = filtering.parse(filters)
    rows = [(name, container, container.state()) for name, container in all_containers(engine)]
    everything = all or limit > 0 or bool({"status", "exited", "before", "since"} & wanted.keys())
    if not everything:
        rows = [row for row in rows if row[2].active]
    rows = filtering.select(engine, rows, wanted)
    return rows[:limit] if limit > 0 else rows


def summary(engine: Engine, name: str, container: Container, state: State, size: bool) -> dict[str, Any]:
    """One entry of the list."""
    record = container.record
    shown = {
        "Id": container.id,
        "Names": [f"/{name}"],
        "Image": image_name(engine, container),
        "ImageID": record["Image"],
        "Command": command(record["Path"], record["Args"]),
        "Created": to_ns(record["Created"]) // 10**9,
        "Ports": ports(container) if state.running else [],
        "Labels": container.config.get("Labels") or {},
        "State": state.status,
        "Status": status(state),
        "HostConfig": {"NetworkMode": network.mode_of(container)},
        "NetworkSettings": {"Networks": network.shown(engine, container, state.running)["Networks"]},
        "Mounts": [p.api() for p in map(MountPoint.from_record, record["MountPoints"]) if p.listed],
    }
    if size:
        shown |= sizes(engine, container)
    return shown


def image_name(engine: Engine, container: Container) -> str:
    """What the user called the image; its id when that name means another image by now, or none."""
    name = str(container.config["Image"])
    try:
        return name if engine.images.get(name).id == container.record["Image"] else str(container.record["Image"])
    except ImageNotFound:
        return str(container.record["Image"])


def command(path: str, args: list[str]) -> str:
    """The command as one text, an argument with blanks in quotes."""
    return " ".join([path, *(f"'{arg}'" if " " in arg else arg for arg in args)])


def ports(container: Container) -> list[dict[str, Any]]:
    """The exposed ports: none is published in this version."""
    exposed = (port.partition("/") for port in container.config.get("ExposedPorts") or {})
    return [{"PrivatePort": int(number), "Type": protocol or "tcp"} for number, _, protocol in exposed if number.isdecimal()]


def status(state: State) -> str:
    """``Up 4 minutes``, ``Up 4 minutes (Paused)``, ``Exited (0) 2 weeks ago``, ``Restarting (1) 3 seconds ago``."""
    now = time.time_ns()
    if state.running:
        up = f"Up {human_duration((now - to_ns(state.started_at)) / 1e9)}"
        return f"{up} (Paused)" if state.status == "paused" else up
    if state.status == "created":
        return "Created"
    ago = human_duration((now - to_ns(state.finished_at)) / 1e9)
    word = "Restarting" if state.status == "restarting" else "Exited"
    return f"{word} ({state.exit_code}) {ago} ago"

"""What happened to containers, written down as it happened: oom, pause, unpause, update. ``events`` will be served from here.

The file and its lines are in ``shim/notes.py``: an ``oom`` is seen by the container's shim alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minidock.daemon.base.verb import verb
from minidock.execdriver.notes import note as write_note
from minidock.linux.files import read_small

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.record.container import Container


def note(engine: Engine, container_id: str, action: str, attributes: dict[str, str]) -> None:
    """Write down that `action` happened to a container now. Raises OSError (but for a full disk: the record is lost)."""
    write_note(str(engine.paths.records), container_id, action, attributes)


def note_of(container: Container, action: str) -> None:
    """`note`, with the attributes that docker's events have. Raises OSError."""
    note(container.engine, container.id, action, attributes(container))


def attributes(container: Container) -> dict[str, str]:
    """What docker tells of a container with each event: its image, its name, its labels (Engine API 1.41, Actor)."""
    labels = {key: str(value) for key, value in (container.config.get("Labels") or {}).items()}
    return {**labels, "image": str(container.config["Image"]), "name": container.name}


@verb
def records(engine: Engine, since: int = 0) -> list[dict[str, Any]]:
    """The records from `since` (ns after 1970) on, the oldest first, as ``{"timeNano", "ID", "Action", "Attributes"}``."""
    found = [record for record in _read(engine) if record["timeNano"] >= since]
    return sorted(found, key=lambda record: int(record["timeNano"]))


def _read(engine: Engine) -> Iterator[dict[str, Any]]:
    for path in (f"{engine.paths.records}.1", str(engine.paths.records)):
        try:
            data = read_small(path)
        except FileNotFoundError:
            continue
        for line in data.splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # a writer found the disk full in the middle of it
                continue

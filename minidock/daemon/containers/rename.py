"""``rename``: one row in linkgraph.db."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.record import names
from minidock.errors import InvalidParameter

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def rename(engine: Engine, ref: str, name: str) -> None:
    """Give a container another name. Raises ContainerNotFound, InvalidParameter, Conflict (the name is taken)."""
    if not ref or not name:
        raise InvalidParameter("Neither old nor new names may be empty")
    new = names.validate(name)
    container = names.lookup(engine, ref)
    if container.name == new:
        raise InvalidParameter("Renaming a container with the same name as its current name")
    try:
        engine.links.execute("UPDATE names SET name=? WHERE kind='container' AND id=?", new, container.id)
    except sqlite3.IntegrityError:
        raise names.conflict(engine, new) from None

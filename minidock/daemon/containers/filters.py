"""The ``filters`` of ``ps``: which containers match. Values of one filter are alternatives, different filters add up."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from minidock.daemon.base.timestamps import to_ns
from minidock.daemon.record import network
from minidock.daemon.record.container import Container, State
from minidock.daemon.record.names import lookup
from minidock.errors import ImageNotFound, InvalidParameter

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

STATUSES = ("created", "dead", "exited", "paused", "removing", "restarting", "running")
_NAMES = "ancestor before expose exited health id isolation is-task label name network publish since status volume"
_KNOWN = frozenset(_NAMES.split())
Row = tuple[str, Container, State]


def parse(filters: Mapping[str, Any] | str | None) -> dict[str, list[str]]:
    """The Engine API's ``{"status": ["running"], "label": {"a": true}}`` (or its JSON) as lists of text.

    Raises InvalidParameter for a filter that docker does not know.
    """
    if isinstance(filters, str):
        try:
            filters = json.loads(filters) if filters else {}
        except ValueError:
            raise InvalidParameter(f"invalid filter '{filters}'") from None
    result: dict[str, list[str]] = {}
    for name, value in (filters or {}).items():
        if name not in _KNOWN:
            raise InvalidParameter(f"Invalid filter '{name}'")
        values = [value] if isinstance(value, (str, int, bool)) else list(value)
        result[name] = [str(item).lower() if isinstance(item, bool) else str(item) for item in values]
    for status in result.get("status", ()):
        if status not in STATUSES:
            raise InvalidParameter(f"Invalid filter 'status={status}'")
    for code in result.get("exited", ()):
        if not re.fullmatch("[+-]?[0-9]+", code):
            raise InvalidParameter(f'strconv.Atoi: parsing "{code}": invalid syntax')
    for health in result.get("health", ()):
        if health not in ("starting", "healthy", "unhealthy", "none"):
            raise InvalidParameter(f"Unrecognised filter value for health: {health}")
    return result


def select(engine: Engine, rows: list[Row], filters: dict[str, list[str]]) -> list[Row]:
    """The rows (newest first) that match all filters. Raises ContainerNotFound for a before or since that names nothing."""
    tests = {
        "id": _id,
        "name": _name,
        "label": _label,
        "exited": _exited,
        "status": _status,
        "volume": _volume,
        "network": _network,
        "expose": _port,
        "publish": _never,
        "health": _health,
        "is-task": _is_task,
        "isolation": _anything,
    }  # fmt: skip
    checks: list[tuple[Callable[[Row, str], bool], list[str], bool]] = [
        (tests[name], values, name == "label") for name, values in filters.items() if name in tests
    ]
    kept = [row for row in rows if all(_any(test, row, values, every) for test, values, every in checks)]
    if "ancestor" in filters:
        wanted = _descendants(engine, filters["ancestor"])
        kept = [row for row in kept if row[1].record["Image"] in wanted or row[1].config["Image"] in filters["ancestor"]]
    for ref in filters.get("before", ()):
        kept = [row for row in kept if _created(row[1]) < _created(lookup(engine, ref))]
    for ref in filters.get("since", ()):
        kept = [row for row in kept if _created(row[1]) > _created(lookup(engine, ref))]
    return kept


def _any(test: Callable[[Row, str], bool], row: Row, values: list[str], every: bool) -> bool:
    results = [test(row, value) for value in values]
    return all(results) if every else any(results)


def _created(container: Container) -> int:
    return to_ns(container.record["Created"])


def _id(row: Row, value: str) -> bool:
    return row[1].id.startswith(value)


def _name(row: Row, value: str) -> bool:
    """docker matches names as a regular expression, with or without the slash."""
    try:
        return re.search(value, f"/{row[0]}") is not None or re.search(value, row[0]) is not None
    except re.error:
        return value in row[0]


def _label(row: Row, value: str) -> bool:
    key, equals, wanted = value.partition("=")
    labels = row[1].config.get("Labels") or {}
    return key in labels and (not equals or labels[key] == wanted)


def _exited(row: Row, value: str) -> bool:
    state = row[2]
    return state.status == "exited" and state.exit_code == int(value)


def _status(row: Row, value: str) -> bool:
    return row[2].status == value


def _volume(row: Row, value: str) -> bool:
    return any(value in (p["name"], p["destination"], p["source"]) for p in row[1].record["MountPoints"] if p["listed"])


def _network(row: Row, value: str) -> bool:
    return network.plain(network.mode_of(row[1])) == value


def _port(row: Row, value: str) -> bool:
    """``PORT[-LAST][/PROTO]`` against the exposed ports."""
    ports, _, protocol = value.partition("/")
    first, _, last = ports.partition("-")
    if not first.isdecimal() or (last and not last.isdecimal()):
        raise InvalidParameter(f"invalid port: {value}")
    exposed = row[1].config.get("ExposedPorts") or {}
    return any(f"{number}/{protocol or 'tcp'}" in exposed for number in range(int(first), int(last or first) + 1))


def _never(row: Row, value: str) -> bool:  # noqa: ARG001
    """No port is published in this version."""
    return False


def _health(row: Row, value: str) -> bool:  # noqa: ARG001
    return value == "none"


def _is_task(row: Row, value: str) -> bool:  # noqa: ARG001
    """No container is a swarm's task."""
    return value in ("false", "0")


def _anything(row: Row, value: str) -> bool:  # noqa: ARG001
    return True


def _descendants(engine: Engine, refs: list[str]) -> set[str]:
    """Ids of the images that `refs` name and of those built on their layers."""
    found: set[str] = set()
    for ref in refs:
        try:
            layers = engine.images.get(ref).diff_ids
        except ImageNotFound:
            continue
        found |= {image.id for image in engine.images.images() if image.diff_ids[: len(layers)] == layers}
    return found

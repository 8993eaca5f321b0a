"""An image's config, decoded as strictly as docker does it, and with the words of Go's encoding/json.

docker reads the JSON into structs (moby ``image.Image``, whose ``config`` is a ``container.Config``), and a value of another
type ends the load. The tables below are those structs: JSON name → type. ``null`` fits everywhere (the field is as good as
absent), and a name that no struct has is passed over. Every sentence here was seen from dockerd 20.10.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from minidock.errors import InvalidParameter


class Scalar(NamedTuple):
    """A JSON string, bool or whole number; `go` is the Go type's name."""

    go: str
    kind: type


class ListOf(NamedTuple):
    """A JSON array. A `strslice` may be a single string, too, and its elements are what a wrong one is called by."""

    go: str
    item: Type
    strslice: bool = False


class MapOf(NamedTuple):
    """A JSON object with any keys."""

    go: str
    item: Type


class Struct(NamedTuple):
    """A JSON object with known fields; `name` stands before a field's path in an error."""

    go: str
    name: str
    fields: Mapping[str, Type]


class Time(NamedTuple):
    """RFC 3339 text."""


Type = Scalar | ListOf | MapOf | Struct | Time

DIFF_IDS = ListOf("[]layer.DiffID", Scalar("layer.DiffID", str))
TEXT, BOOL, INT = Scalar("string", str), Scalar("bool", bool), Scalar("int", int)
DURATION = Scalar("time.Duration", int)
WORDS, COMMAND = ListOf("[]string", TEXT), ListOf("string", TEXT, strslice=True)
EMPTY = Struct("struct {}", "", {})

HEALTH = Struct(
    "container.HealthConfig",
    "HealthConfig",
    {"Test": WORDS, "Interval": DURATION, "Timeout": DURATION, "StartPeriod": DURATION, "Retries": INT},
)
CONFIG = Struct(
    "container.Config",
    "Config",
    {
        **dict.fromkeys(("Hostname", "Domainname", "User", "Image", "WorkingDir", "MacAddress", "StopSignal"), TEXT),
        **dict.fromkeys(("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"), BOOL),
        **dict.fromkeys(("ArgsEscaped", "NetworkDisabled"), BOOL),
        "ExposedPorts": MapOf("nat.PortSet", EMPTY),
        "Volumes": MapOf("map[string]struct {}", EMPTY),
        "Labels": MapOf("map[string]string", TEXT),
        "Env": WORDS,
        "OnBuild": WORDS,
        **dict.fromkeys(("Cmd", "Entrypoint", "Shell"), COMMAND),
        "Healthcheck": HEALTH,
        "StopTimeout": INT,
    },
)
HISTORY = Struct(
    "image.History",
    "History",
    {"created": Time(), **dict.fromkeys(("author", "created_by", "comment"), TEXT), "empty_layer": BOOL},
)
IMAGE = Struct(
    "image.Image",
    "Image",
    {
        **dict.fromkeys(("id", "comment", "container", "docker_version", "author", "architecture", "variant", "os"), TEXT),
        "os.version": TEXT,
        "os.features": WORDS,
        "parent": Scalar("image.ID", str),
        "created": Time(),
        "container_config": CONFIG,
        "config": CONFIG,
        "rootfs": Struct("image.RootFS", "RootFS", {"type": TEXT, "diff_ids": DIFF_IDS}),
        "history": ListOf("[]image.History", HISTORY),
    },
)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_LAYOUT = r'"\"2006-01-02T15:04:05Z07:00\""'


def check(config: object) -> None:
    """Raise InvalidParameter for the first value in an image config that is not of its field's type."""
    _check(config, IMAGE, "", "")


def _check(value: object, kind: Type, owner: str, path: str) -> None:
    """`owner` and `path` name the field as Go does: the innermost struct, then all fields on the way: ``Config.config.Env``."""
    if value is None:
        return
    match kind:
        case Time():
            _check_time(value)
        case Scalar():
            if not isinstance(value, kind.kind) or (kind.kind is int and isinstance(value, bool)):
                raise _refused(value, kind.go, owner, path)
        case ListOf():
            if isinstance(value, str) and kind.strslice:
                return
            if not isinstance(value, list):
                raise _refused(value, kind.go, owner, path)
            for item in value:
                _check(item, kind.item, owner, path)
        case MapOf():
            if not isinstance(value, dict):
                raise _refused(value, kind.go, owner, path)
            for item in value.values():
                _check(item, kind.item, owner, path)
        case Struct():
            if not isinstance(value, dict):
                raise _refused(value, kind.go, owner, path)
            _check_fields(value, kind, path)


def _check_fields(value: Mapping[str, object], struct: Struct, path: str) -> None:
    """Go matches names without regard to case, and calls a field by the struct's spelling."""
    known = {name.lower(): name for name in struct.fields}
    for key, item in value.items():
        if name := known.get(key.lower()):
            _check(item, struct.fields[name], struct.name, f"{path}.{name}")


def _check_time(value: object) -> None:
    """What Go's ``time.Time`` takes from JSON."""
    text = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        raise InvalidParameter(f'parsing time "{text}" as {_LAYOUT}: cannot parse "{text}" as "\\""')
    if not _RFC3339.fullmatch(value) or not _in_the_calendar(value):
        quoted = text.replace('"', '\\"')
        raise InvalidParameter(f'parsing time "{quoted}" as {_LAYOUT}: cannot parse "{quoted[2:]}" as "2006"')


def _in_the_calendar(text: str) -> bool:
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return text.startswith("0000-")  # Go has a year 0
    return True


def _refused(value: object, go: str, owner: str, path: str) -> InvalidParameter:
    """Of a number its text is told only where a number was due."""
    names: dict[type, Callable[[], str]] = {
        bool: lambda: "bool",
        int: lambda: "number",
        float: lambda: f"number {value}" if go in (INT.go, DURATION.go) else "number",
        str: lambda: "string",
        list: lambda: "array",
        dict: lambda: "object",
    }
    given = names[type(value)]()
    where = f"Go struct field {owner}{path}" if path else "Go value"
    return InvalidParameter(f"json: cannot unmarshal {given} into {where} of type {go}")

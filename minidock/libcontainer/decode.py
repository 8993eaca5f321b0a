"""`Frozen` records as JSON and back. The half that reads is the shim's alone: a command only writes."""

from __future__ import annotations

import functools
import json
import types
import typing
from typing import Any, TypeVar

from minidock.frozen import Frozen

T = TypeVar("T", bound=Frozen)


def to_json(value: Any) -> str:
    """A config as JSON text; tuples become arrays, nested records objects."""
    return json.dumps(value, separators=(",", ":"), default=vars)


def from_json(cls: type[T], text: str | bytes) -> T:
    """Build `cls` (a `Frozen` record) from `to_json`'s text. Unknown fields are an error (TypeError)."""
    return from_dict(cls, json.loads(text))


def from_dict(cls: type[T], value: dict[str, Any]) -> T:
    """Build `cls` from decoded JSON. Unknown fields are an error (TypeError)."""
    build = _builder(typing.cast(typing.Hashable, cls))
    assert build is not None  # a record always has one
    return typing.cast(T, build(value))


_Build = typing.Callable[[Any], Any]


@functools.cache
def _builder(kind: typing.Hashable) -> _Build | None:
    """What gives a JSON value the type that the annotation `kind` names; None if the value is right as it is.

    Made once for each type: reading annotations costs more than the whole warm start may.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        build = _builder(next(a for a in args if a is not type(None)))
        return build and (lambda value: None if value is None else build(value))
    if origin is tuple:
        return _tuple_builder(args)
    if isinstance(kind, type) and issubclass(kind, Frozen):
        return _record_builder(kind)
    return None


def _tuple_builder(args: tuple[Any, ...]) -> _Build:
    if len(args) == 2 and args[1] is Ellipsis:
        build = _builder(args[0])
        return tuple if build is None else lambda value: tuple(map(build, value))
    builds = [_builder(a) or (lambda item: item) for a in args]
    return lambda value: tuple(build(item) for build, item in zip(builds, value, strict=True))


def _record_builder(kind: type[Frozen]) -> _Build:
    hints = typing.get_type_hints(kind)
    builds = [(name, build) for name, hint in hints.items() if (build := _builder(hint))]

    def build_record(value: dict[str, Any]) -> Any:
        fields = dict(value)
        for name, build in builds:
            if name in fields:
                fields[name] = build(fields[name])
        return kind(**fields)

    return build_record

"""What a template may call: Go's built-in functions, and docker's own (docker/cli ``templates/templates.go``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Missing:
    """What a map gives for a key it has not: false, and printed as Go prints it."""

    def __repr__(self) -> str:
        return "<no value>"

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


class CallError(Exception):
    """A function was called with what it cannot take; the text is Go's."""


def show(value: Any) -> str:
    """A value as Go's fmt prints it: ``[a b]``, ``map[k:v]`` with sorted keys, ``<nil>``, ``<no value>``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{show(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + " ".join(show(item) for item in value) + "]"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e21 else repr(value)
    return str(value)


def to_json(value: Any) -> str:
    """``json``: compact JSON. Unlike html-safe Go JSON, < > & stay (docker switches the escaping off).

    A row of a list is written with its keys sorted and without its methods (``.Label``), as docker's rows are.
    """
    import json

    if isinstance(value, Mapping) and any(callable(field) for field in value.values()):
        value = {name: value[name] for name in sorted(value) if not callable(value[name])}
    return json.dumps(None if value is MISSING else value, separators=(",", ":"), ensure_ascii=False)


def truth(value: Any) -> bool:
    """Go's truth: false, 0, nil, and what is empty are false."""
    return bool(value)


def length(value: Any) -> int:
    """``len``."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping | Sequence):
        return len(value)
    raise CallError(f"error calling len: len of {'nil pointer' if value is None else f'type {_type(value)}'}")


def index(value: Any, *keys: Any) -> Any:
    """``index .Labels "x"``, ``index .Args 0``. A key that is not there gives "" (a map of strings) or no value."""
    for key in keys:
        if isinstance(value, Mapping):
            texts = all(isinstance(v, str) for v in value.values())
            value = value.get(key, "" if texts else MISSING)
        elif isinstance(value, Sequence) and isinstance(key, int) and not isinstance(key, bool):
            if not 0 <= key < len(value):
                raise CallError(f"error calling index: reflect: slice index out of range: {key}")
            value = value[key]
        elif value is None or value is MISSING:
            raise CallError("error calling index: index of untyped nil")
        else:
            raise CallError(f"error calling index: can't index item of type {_type(value)}")
    return value


def cut(value: Any, *bounds: int) -> Any:
    """``slice x 1 3``: x[1:3]."""
    if not isinstance(value, str | Sequence) or not all(isinstance(b, int) and 0 <= b <= len(value) for b in bounds):
        raise CallError(f"error calling slice: index out of range: {' '.join(map(show, bounds))}")
    return value[slice(*bounds)] if len(bounds) == 2 else value[bounds[0] :] if bounds else value


def equal(first: Any, *others: Any) -> bool:
    """``eq a b c``: a equals one of the others."""
    if not others:
        raise CallError("error calling eq: missing argument for comparison")
    return any(_kind(first) == _kind(other) and first == other for other in others)


def _less(a: Any, b: Any) -> bool:
    if _kind(a) != _kind(b) or _kind(a) not in ("number", "string"):
        raise CallError("error calling lt: incompatible types for comparison")
    return bool(a < b)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "string" if isinstance(value, str) else "other"


def _type(value: Any) -> str:
    return {"bool": "bool", "number": "float64", "string": "string"}.get(_kind(value), "interface {}")


def printf(form: str, *args: Any) -> str:
    """``printf``: %s %v %d %q %t %f with widths; Go's other verbs are printed as they are."""
    import re

    from minidock.cli.grammar.quote import quote

    left = list(args)

    def one(match: re.Match[str]) -> str:
        flags, verb = match.groups()
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        value = left.pop(0)
        if verb in "dfxX" and _kind(value) == "number":
            return f"%{flags}{verb}".__mod__(value)
        text = quote(show(value)) if verb == "q" else show(value)
        return f"%{flags}s".__mod__(text)

    return re.sub(r"%([-+ 0#]*\d*(?:\.\d+)?)([vsdqtfxX%])", one, form)


def truncate(text: str, size: int) -> str:
    """docker's ``truncate``: at most `size` characters."""
    return text[:size]


def join(items: Any, separator: str = "") -> str:
    """``join .Args ","``."""
    if items is None or items is MISSING:
        return ""
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise CallError(f"wrong type for value; expected []string; got {_type(items)}")
    return separator.join(show(item) for item in items)


def _text(function: Callable[[str], str]) -> Callable[[Any], str]:
    def call(value: Any) -> str:
        if not isinstance(value, str):
            raise CallError(f"wrong type for value; expected string; got {_type(value)}")
        return function(value)

    return call


def _title(text: str) -> str:
    return "".join(c.upper() if i == 0 or text[i - 1].isspace() else c for i, c in enumerate(text))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": equal,
    "ne": lambda a, b: not equal(a, b),
    "lt": _less,
    "le": lambda a, b: not _less(b, a),
    "gt": lambda a, b: _less(b, a),
    "ge": lambda a, b: not _less(a, b),
    "not": lambda value: not truth(value),
    "len": length,
    "index": index,
    "slice": cut,
    "print": lambda *values: "".join(show(v) for v in values),
    "println": lambda *values: " ".join(show(v) for v in values) + "\n",
    "printf": printf,
    "json": to_json,
    "join": join,
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "title": _text(_title),
    "lower": _text(str.lower),
    "upper": _text(str.upper),
    "pad": lambda text, before, after: " " * before + text + " " * after if text else text,
    "truncate": truncate,
}
# these look at one argument after the other, and stop early
LAZY = ("and", "or")
__all__ = ["FUNCTIONS", "LAZY", "MISSING", "CallError", "show", "truth"]

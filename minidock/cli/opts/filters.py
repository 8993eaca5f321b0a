"""``--filter name=value``. Source: docker/cli opts/opts.go, FilterOpt."""

from __future__ import annotations

from collections.abc import Iterable

from minidock.cli.opts import BadValue


def one(text: str) -> tuple[str, str]:
    """``status=exited`` → ("status", "exited"); the name in lower case, blanks around both taken away. "" → ("", "")."""
    name, equals, value = text.partition("=")
    if not equals and text:
        raise BadValue("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


def collect(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """{"status": ["exited", "created"]}: what the client takes."""
    result: dict[str, list[str]] = {}
    for name, value in pairs:
        if name:
            result.setdefault(name, []).append(value)
    return result

"""``docker images``: the image list, its filters, and the one summary of an image that other verbs use too.

Source: Engine API 1.41, ``GET /images/json``; docker 20.10 ``daemon/images/images.go`` for what the filters mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minidock.daemon.base.timestamps import to_ns
from minidock.daemon.base.verb import verb
from minidock.daemon.request.filters import FALSE, TRUE, Filters, labels_match
from minidock.errors import InvalidParameter

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.graph.store import Image


@verb
def list_images(engine: Engine, *, filters: Filters | None = None) -> list[dict[str, Any]]:
    """The images, newest first, as Engine API ImageSummary dicts.

    `filters`: dangling (true or false), label, before, since (an image each), reference (a pattern); all given ones must hold,
    and of one name's values any (of label's all).

    Raises InvalidParameter for an unknown filter or value, ImageNotFound for before and since.
    """
    found = [(image, references(engine, image)) for image in engine.images.images()]
    for name, values in (filters or {}).items():
        if name not in FILTERS:
            raise InvalidParameter(f"Invalid filter '{name}'")
        keep = FILTERS[name](engine, values)
        found = [pair for pair in found if keep(*pair)]
    return [summary(image, names) for image, names in found]


def references(engine: Engine, image: Image) -> list[str]:
    """The image's names, in order: ``repository:tag`` and ``repository@digest``."""
    return engine.images.references(image.id)


def tags_and_digests(names: list[str]) -> tuple[list[str], list[str]]:
    """RepoTags and RepoDigests of a list of names."""
    return [name for name in names if "@" not in name], [name for name in names if "@" in name]


def created_ns(image: Image) -> int:
    """When it was made, in nanoseconds since 1970 (0: its config does not say)."""
    return to_ns(image.created)


def layer_sizes(engine: Engine, image: Image) -> list[int]:
    """The bytes of each of its layers, base first."""
    return [engine.images.layers.get(chain).size for chain in image.chain_ids]


def container_config(image: Image) -> dict[str, Any]:
    """The image config's ``config``: what containers made from it start with."""
    return image.config.get("config") or image.config.get("Config") or {}


def summary(image: Image, names: list[str]) -> dict[str, Any]:
    """Engine API ImageSummary. -1 says "not counted", as docker's own list does."""
    tags, digests = tags_and_digests(names)
    return {
        "Id": image.id,
        "ParentId": "",
        "RepoTags": tags or ([] if digests else ["<none>:<none>"]),
        "RepoDigests": digests or ([] if tags else ["<none>@<none>"]),
        "Created": created_ns(image) // 10**9,
        "Size": image.size,
        "VirtualSize": image.size,
        "SharedSize": -1,
        "Labels": container_config(image).get("Labels"),
        "Containers": -1,
    }


Keep = Callable[["Image", list[str]], bool]


def _dangling(_engine: Engine, values: list[str]) -> Keep:
    for value in values:
        if value not in TRUE + FALSE:
            raise InvalidParameter(f"Invalid filter 'dangling=[{value}]'")
    wanted = any(value in TRUE for value in values)
    return lambda _image, names: bool(names) != wanted


def _label(_engine: Engine, values: list[str]) -> Keep:
    return lambda image, _names: labels_match(container_config(image).get("Labels"), values)


def _before(engine: Engine, values: list[str]) -> Keep:
    limit = min(created_ns(engine.images.get(value)) for value in values)
    return lambda image, _names: created_ns(image) < limit


def _since(engine: Engine, values: list[str]) -> Keep:
    limit = max(created_ns(engine.images.get(value)) for value in values)
    return lambda image, _names: created_ns(image) > limit


def _reference(_engine: Engine, values: list[str]) -> Keep:
    patterns = [glob(value) for value in values]

    def keep(_image: Image, names: list[str]) -> bool:
        forms = [form for name in names for form in (name, repository(name))]
        return any(pattern.fullmatch(form) for pattern in patterns for form in forms)

    return keep


def repository(name: str) -> str:
    """A reference without its tag or digest."""
    name = name.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def glob(pattern: str) -> re.Pattern[str]:
    """Go's ``path.Match``, with which docker matches references: ``*`` and ``?`` stop at a slash, ``[a-z]`` and ``[^a]`` are
    classes, a backslash takes the next character as it is. Raises InvalidParameter for an unfinished class."""
    parts, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        if char == "[":
            end = pattern.find("]", at + 1)
            if end <= at + 1:
                raise InvalidParameter(f"Invalid filter 'reference={pattern}': syntax error in pattern")
            body = pattern[at + 1 : end]
            negated = body.startswith("^")
            parts.append("[" + "^" * negated + re.sub(r"([\\^\[])", r"\\\1", body[negated:]) + "]")
            at = end
        elif char == "\\" and at + 1 < len(pattern):
            at += 1
            parts.append(re.escape(pattern[at]))
        else:
            parts.append({"*": "[^/]*", "?": "[^/]"}.get(char) or re.escape(char))
        at += 1
    try:
        return re.compile("".join(parts))
    except re.error:
        raise InvalidParameter(f"Invalid filter 'reference={pattern}': syntax error in pattern") from None


FILTERS: dict[str, Callable[[Engine, list[str]], Keep]] = {
    "before": _before,
    "dangling": _dangling,
    "label": _label,
    "reference": _reference,
    "since": _since,
}

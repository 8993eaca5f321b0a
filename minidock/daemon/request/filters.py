"""What the ``filters`` of several lists and prunes have in common (Engine API 1.41)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidock.daemon.base.timestamps import parse_when
from minidock.errors import InvalidParameter

Filters = Mapping[str, list[str]]  # a filter's name → its values
TRUE, FALSE = ("1", "true"), ("0", "false")


def labels_match(labels: Mapping[str, str] | None, wanted: list[str]) -> bool:
    """Whether all of `wanted` ("key" or "key=value") are among `labels`."""
    pairs = [text.partition("=") for text in wanted]
    return all(key in (labels or {}) and (not equals or (labels or {})[key] == value) for key, equals, value in pairs)


def known(filters: Filters | None, names: tuple[str, ...]) -> Filters:
    """The filters, all of which have one of these `names`. Raises InvalidParameter."""
    for name in filters or {}:
        if name not in names:
            raise InvalidParameter(f"Invalid filter '{name}'")
    return filters or {}


def prunable(config: Mapping[str, Any], created: int, filters: Filters) -> bool:
    """Whether label, label! and until let go of what has this `config` and was made at `created` (ns after 1970)."""
    labels = config.get("Labels")
    if not labels_match(labels, filters.get("label", [])):
        return False
    if any(labels_match(labels, [label]) for label in filters.get("label!", [])):
        return False
    return all(created < parse_when(value, "until") for value in filters.get("until", []))

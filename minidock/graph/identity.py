"""Digests and the formulas between them (OCI image specification, config.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from minidock.errors import InvalidParameter
from minidock.sha256 import sha256

PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest(data: bytes) -> str:
    """The digest of some bytes."""
    return PREFIX + sha256(data).hexdigest()


def checked(text: str) -> str:
    """The digest, if it is one. Raises InvalidParameter."""
    if not _DIGEST.fullmatch(text):
        raise InvalidParameter(f"invalid digest {text!r}")
    return text


def hexadecimal(text: str) -> str:
    """The 64 digits of a digest."""
    return checked(text)[len(PREFIX) :]


def chain_id(parent: str | None, diff_id: str) -> str:
    """The ChainID of the layer `diff_id` on the chain `parent` (None: a base layer)."""
    return digest(f"{parent} {diff_id}".encode()) if parent else diff_id


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """The ChainIDs of a list of layers, base first."""
    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(chain_id(chains[-1] if chains else None, diff_id))
    return chains

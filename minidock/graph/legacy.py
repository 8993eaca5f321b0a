"""Archives of ``docker save`` up to 1.9: one directory a layer, with ids that are random and say nothing of the contents.

As Docker 1.10 did when it met such a graph (moby ``image/v1``): the layers' digests are taken, and an image config is made from
the top layer's json and its parents' histories. The same archive always gives the same image ids.
"""

from __future__ import annotations

import json
import re
from typing import Any

from minidock.errors import InvalidParameter
from minidock.graph import reference
from minidock.graph.archive import TarStream, decompressed
from minidock.graph.archive.reader import in_our_words
from minidock.graph.bundle import Bundle, Candidate

_ID = re.compile(r"[0-9a-f]{64}")
_NOT_IN_CONFIG = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway", "checksum")


def candidates(bundle: Bundle) -> list[Candidate]:
    """The images that ``repositories`` names. Raises InvalidParameter."""
    references: dict[str, list[str]] = {}
    repositories = bundle.json("repositories", dict)
    try:
        for name, tags in repositories.items():
            for tag, image in tags.items():
                references.setdefault(image, []).append(reference.for_tagging(name, tag))
        return [_image(bundle, image, names) for image, names in references.items()]
    except (TypeError, AttributeError) as e:
        raise InvalidParameter(f"invalid archive: repositories: {e}") from e


def _image(bundle: Bundle, top: str, references: list[str]) -> Candidate:
    chain: list[dict[str, Any]] = []
    seen: set[str] = set()
    layer: str | None = top
    while layer:
        if not _ID.fullmatch(layer) or layer in seen:
            raise InvalidParameter(f"invalid archive: invalid layer id or parent loop at {layer!r}")
        seen.add(layer)
        chain.append(bundle.json(f"{layer}/json", dict))
        layer = chain[-1].get("parent")
        chain[-1]["id"] = top if len(chain) == 1 else chain[-2]["parent"]
    chain.reverse()
    members = [f"{v1['id']}/layer.tar" for v1 in chain]
    config = {key: value for key, value in chain[-1].items() if key not in _NOT_IN_CONFIG}
    config["rootfs"] = {"type": "layers", "diff_ids": [_diff_id(bundle, member) for member in members]}
    config["history"] = [_history(v1) for v1 in chain]
    return Candidate(json.dumps(config, separators=(",", ":"), sort_keys=True).encode(), members, references=references)


def _diff_id(bundle: Bundle, member: str) -> str:
    with in_our_words():
        return TarStream(decompressed(bundle.open(member))).finish()


def _history(v1: dict[str, Any]) -> dict[str, Any]:
    command = (v1.get("container_config") or {}).get("Cmd") or []
    entry = {
        "created": v1.get("created"),
        "created_by": " ".join(command),
        "author": v1.get("author"),
        "comment": v1.get("comment"),
    }
    return {key: value for key, value in entry.items() if value}

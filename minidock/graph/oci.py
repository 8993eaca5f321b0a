"""The OCI image layout (image-layout.md): index.json leads to manifests, manifests to configs and layers, all by digest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidock.errors import InvalidParameter
from minidock.graph import identity, reference
from minidock.graph.bundle import Bundle, Candidate
from minidock.graph.import_ import architecture

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
CONFIGS = ("application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json")
NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
_MAX_DEPTH = 4  # of indexes in indexes


def candidates(bundle: Bundle) -> list[Candidate]:
    """The images of the layout that this machine can run. Raises InvalidParameter."""
    try:
        return list(_from_index(bundle, bundle.json("index.json", dict), [], 0))
    except (KeyError, TypeError, AttributeError) as e:
        raise InvalidParameter(f"invalid archive: index.json: {e!r}") from e


def _from_index(bundle: Bundle, index: dict[str, Any], names: list[str], depth: int) -> Iterator[Candidate]:
    if depth > _MAX_DEPTH:
        raise InvalidParameter("invalid archive: indexes nested too deeply")
    for descriptor in index["manifests"]:
        platform = descriptor.get("platform")
        if platform and (platform.get("os"), platform.get("architecture")) != ("linux", architecture()):
            continue
        digest = identity.checked(descriptor["digest"])
        own = names + _references(descriptor.get("annotations") or {})
        manifest = bundle.json(_blob(digest), dict, digest=digest)
        if descriptor.get("mediaType") in INDEXES or "manifests" in manifest:
            yield from _from_index(bundle, manifest, own, depth + 1)
        elif manifest["config"].get("mediaType") in CONFIGS:  # else an attestation, or another artifact
            yield _image(bundle, manifest, own)


def _image(bundle: Bundle, manifest: dict[str, Any], references: list[str]) -> Candidate:
    config = identity.checked(manifest["config"]["digest"])
    digests = [identity.checked(layer["digest"]) for layer in manifest["layers"]]
    return Candidate(bundle.read(_blob(config), digest=config), [_blob(digest) for digest in digests], digests, references)


def _blob(digest: str) -> str:
    return f"blobs/sha256/{identity.hexadecimal(digest)}"


def _references(annotations: dict[str, Any]) -> list[str]:
    """containerd and docker write the whole name; others write a name or a bare tag, of which only the name helps."""
    if NAME in annotations:
        return [reference.normalise(annotations[NAME])]
    text = annotations.get(REF_NAME, "")
    return [reference.normalise(text)] if ":" in text else []

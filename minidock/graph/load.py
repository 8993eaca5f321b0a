"""``docker load``: images out of an archive. Three layouts are known, newest first:

::

    docker-archive (1.10 and later)        OCI image layout                  docker save up to 1.9
    manifest.json  [{Config, RepoTags,     oci-layout                        repositories  {"busybox": {"latest": ID}}
                     Layers}]              index.json → manifest → config    <ID>/json     {"id", "parent", "config"…}
    <hex>.json     the image config        blobs/sha256/<hex>                <ID>/layer.tar
    <hex>/layer.tar                                                          <ID>/VERSION  1.0

A docker-archive of today holds the second inside it as well; manifest.json decides then, as in docker.

Everything that can be checked without unpacking is checked first: JSON, references, number of layers. Then layers are
unpacked, each verified against its DiffID. Then all images of the archive appear at once. A bad archive leaves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from typing import Any

from minidock.errors import InvalidParameter
from minidock.graph import identity, imageconfig, legacy, oci, reference
from minidock.graph.archive import decompressed
from minidock.graph.archive.reader import Readable
from minidock.graph.bundle import Bundle, Candidate, opened
from minidock.graph.layers import Layer
from minidock.graph.lease import Lease
from minidock.graph.store import Image, ImageStore, NewImage, parse_config

Record = dict[str, Any]
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def load(store: ImageStore, fileobj: Readable) -> Iterator[Record]:
    """Load every image of the archive in `fileobj` (may be compressed; need not seek).

    Yields the Engine API's progress records; the last ones are ``{"stream": "Loaded image: busybox:latest\\n"}``. Raises
    InvalidParameter (no archive, or a bad one), NotSupported (zstd), SystemFault; nothing is left then.
    """
    with opened(fileobj, store.scratch) as bundle, store.making() as lease:
        candidates = _candidates(bundle)
        new = []
        for candidate in candidates:
            layers = yield from _layers(store, lease, bundle, candidate)
            new.append(NewImage(candidate.config, tuple(layers), tuple(candidate.references)))
        yield from _publish(store, new)


def _candidates(bundle: Bundle) -> list[Candidate]:
    """What the archive offers, by its layout. Raises InvalidParameter, also when it offers nothing."""
    if "manifest.json" in bundle:
        found = [_described(bundle, entry) for entry in bundle.json("manifest.json", list)]
    elif "index.json" in bundle:
        found = oci.candidates(bundle)
    elif "repositories" in bundle:
        found = legacy.candidates(bundle)
    else:
        raise InvalidParameter("invalid archive: does not contain a manifest.json")
    if not found:
        raise InvalidParameter("invalid archive: it holds no image")
    for candidate in found:
        _check(candidate)
    return found


def _described(bundle: Bundle, entry: Any) -> Candidate:
    """One entry of manifest.json."""
    try:
        config, layers, tags = entry["Config"], entry["Layers"] or [], entry.get("RepoTags") or []
        if not all(isinstance(text, str) for text in (config, *layers, *tags)):
            raise TypeError("a name is not text")
    except (TypeError, KeyError, AttributeError) as e:
        raise InvalidParameter(f"invalid archive: manifest.json: {e}") from e
    for layer in layers:
        bundle.open(layer)
    return Candidate(bundle.read(config), layers, references=[_tag(tag) for tag in tags])


def _tag(text: str) -> str:
    parsed = reference.parse(text)
    if not parsed.tag:
        raise InvalidParameter(f"invalid tag {json.dumps(text)}")
    return str(parsed)


def _check(candidate: Candidate) -> None:
    """Everything about an image that needs no layer. Raises InvalidParameter in docker's words."""
    config = parse_config(candidate.config)
    imageconfig.check(config)
    expected = len(config["rootfs"]["diff_ids"])
    if expected != len(candidate.layers):
        raise InvalidParameter(f"invalid manifest, layers length mismatch: expected {expected}, got {len(candidate.layers)}")
    if (system := config.get("os") or "linux") != "linux":
        raise InvalidParameter(f"cannot load {system} image on linux")


def _layers(store: ImageStore, lease: Lease, bundle: Bundle, candidate: Candidate) -> Generator[Record, None, list[Layer]]:
    """Unpack the layers that are not there yet; the generator's value is all of them, base first."""
    layers: list[Layer] = []
    diff_ids = parse_config(candidate.config)["rootfs"]["diff_ids"]
    digests = candidate.digests or [""] * len(diff_ids)
    for chain, diff_id, member, digest in zip(identity.chain_ids(diff_ids), diff_ids, candidate.layers, digests, strict=True):
        layer = store.layers.hold(lease, chain)
        if layer is None:
            part = bundle.open(member, digest=digest)
            yield progress("Loading layer", diff_id, 0, part.size)
            parent = layers[-1].chain_id if layers else None
            layer = store.layers.register(lease, parent, decompressed(part), diff_id=diff_id)
            yield progress("Loading layer", diff_id, part.size, part.size)
        layers.append(layer)
    return layers


def _publish(store: ImageStore, new: list[NewImage]) -> Iterator[Record]:
    """Make all images appear, then say so."""
    with store.lock():
        before = {ref: store.target(ref) for one in new for ref in one.references}
        images = store.publish(new)
    for image, one in zip(images, new, strict=True):
        yield from _announce(image, one, before)


def _announce(image: Image, one: NewImage, before: dict[str, str | None]) -> Iterator[Record]:
    for ref in one.references:
        old = before[ref]
        if old is not None and old != image.id:
            yield {"stream": f"The image {ref} already exists, renaming the old one with ID {old} to empty string\n"}
        yield {"stream": f"Loaded image: {ref}\n"}
    if not one.references:
        yield {"stream": f"Loaded image ID: {image.id}\n"}


def progress(status: str, digest: str, current: int, total: int) -> Record:
    """A progress record: numbers for programs, and docker's bar for who prints it as it is (pkg/jsonmessage)."""
    done = int(current / total * 100) // 2 if total else 50
    bar = f"[{'=' * done}>{' ' * (50 - done)}] {_human(current):>8}/{_human(total)}"
    return {
        "status": status,
        "progressDetail": {"current": current, "total": total},
        "progress": bar,
        "id": digest.removeprefix(identity.PREFIX)[:12],
    }


def _human(size: float) -> str:
    """A size in docker's units: four significant digits, powers of 1000 (go-units HumanSize)."""
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.4g}{_UNITS[unit]}"

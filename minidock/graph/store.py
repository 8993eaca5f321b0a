"""Images: what exists, what it is called, and which layers it keeps alive.

An image is its config blob. What must be decided together (is this layer still needed? may this image go?) is decided under
one lock, ``ROOT/layers.lock``, held for milliseconds: never while a layer is unpacked. Layers in the making are protected
by leases (lease.py).
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from minidock import errors
from minidock.frozen import Frozen
from minidock.graph import identity, lease, reference
from minidock.graph.content import ContentStore
from minidock.graph.layers import Layer, LayerStore
from minidock.graphdriver import GraphDriver
from minidock.graphdriver.scratch import Scratch
from minidock.linkgraph import LinkGraph
from minidock.linux.files import flock

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})")


class Image(Frozen):
    """One image: `id` is "sha256:…"; `config` the whole config JSON; `created` RFC 3339 text; `size` bytes of all layers."""

    id: str
    config: dict[str, Any]
    diff_ids: tuple[str, ...]
    size: int
    created: str

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Image({self.id}, created {self.created})"

    @property
    def chain_ids(self) -> list[str]:
        """The ChainIDs of its layers, base first."""
        return identity.chain_ids(self.diff_ids)


class NewImage(Frozen):
    """An image to be: its config's bytes, its layers (base first), and its references, fully spelled."""

    config: bytes
    layers: tuple[Layer, ...]
    references: tuple[str, ...] = ()


class ImageStore:
    """The images of one instance. Safe for several processes and threads at once."""

    def __init__(self, root: str | os.PathLike[str], driver: GraphDriver, links: LinkGraph) -> None:
        self.root, self.driver, self.links = Path(root), driver, links
        self.scratch = Scratch.of(os.path.join(root, "tmp"))
        self.content = ContentStore(root)
        self._lock_path = os.path.join(root, "layers.lock")
        self._held = threading.local()
        self.layers = LayerStore(root, driver, self.scratch, self.lock)
        self._cache: dict[str, Image] = {}

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Nobody adds or deletes an image meanwhile. The same thread may take it again."""
        depth = getattr(self._held, "depth", 0)
        if depth:
            self._held.depth = depth + 1
            try:
                yield
            finally:
                self._held.depth = depth
            return
        with flock(self._lock_path):
            self._held.depth = 1
            try:
                yield
            finally:
                self._held.depth = 0

    def add(self, config: dict[str, Any] | bytes, layers: Sequence[Layer]) -> Image:
        """Make an image of its config (bytes are kept as they are) and its layers, base first; the same again is the same.

        Raises InvalidParameter when the config's DiffIDs are not those of the layers, NotFound when a layer has gone.
        """
        return self.publish([NewImage(encode_config(config), tuple(layers))])[0]

    def publish(self, new: Sequence[NewImage]) -> list[Image]:
        """Make several images and their references appear: all of them, or none."""
        with self.lock(), ExitStack() as undo:
            images = []
            for one in new:
                if parse_config(one.config)["rootfs"]["diff_ids"] != [layer.diff_id for layer in one.layers]:
                    raise errors.InvalidParameter("invalid image config: its layers are not those of the archive")
                for layer in one.layers:
                    self.layers.get(layer.chain_id)
                if not self.content.exists(image_id := identity.digest(one.config)):
                    undo.callback(self.content.remove, image_id)
                images.append(self._image(self.content.write(one.config)))
            with self.links.transaction() as rows:
                for image, one in zip(images, new, strict=True):
                    for ref in one.references:
                        rows.execute("INSERT OR REPLACE INTO refs (ref, image) VALUES (?, ?)", (ref, image.id))
            undo.pop_all()
            return images

    def _image(self, image_id: str) -> Image:
        """The image of an id that exists. Raises NotFound."""
        image = self._cache.get(image_id)
        if image is None or not self.content.exists(image_id):
            self._cache.pop(image_id, None)
            config = parse_config(self.content.read(image_id))
            diff_ids = tuple(config["rootfs"]["diff_ids"])
            size = sum(self.layers.get(chain).size for chain in identity.chain_ids(diff_ids))
            image = Image(image_id, config, diff_ids, size, str(config.get("created") or "0001-01-01T00:00:00Z"))
            self._cache[image_id] = image
        return image

    def get(self, ref: str) -> Image:
        """The image that `ref` means: name[:tag], name@digest, an id, or a unique beginning of one.

        A name wins over an id's beginning, as in docker. Raises ImageNotFound; InvalidParameter for what is no reference.
        """
        match = _PREFIX.fullmatch(ref)
        if match is None or (len(match[1]) < 64 and not ref.startswith("sha256:")):
            name = reference.normalise(ref)
            if (image_id := self.target(name)) is not None:
                return self._existing(image_id, name)
        else:
            name = ref
        if match is not None:
            found = [blob for blob in self.content.digests() if blob.startswith(identity.PREFIX + match[1])]
            if len(found) == 1:
                return self._existing(found[0], name)
        raise errors.ImageNotFound(name)

    def _existing(self, image_id: str, name: str) -> Image:
        try:
            return self._image(image_id)
        except errors.NotFound:  # deleted at this moment
            raise errors.ImageNotFound(name) from None

    def images(self) -> list[Image]:
        """All images, newest first."""
        found = []
        for blob in self.content.digests():
            try:
                found.append(self._image(blob))
            except errors.NotFound:  # deleted at this moment
                continue
        return sorted(found, key=lambda image: (image.created, image.id), reverse=True)

    def references(self, image_id: str) -> list[str]:
        """What the image is called: "busybox:latest", … in order."""
        return [row[0] for row in self.links.execute("SELECT ref FROM refs WHERE image = ? ORDER BY ref", image_id)]

    def target(self, ref: str) -> str | None:
        """The image id that a fully spelled reference means, or None."""
        row = self.links.execute("SELECT image FROM refs WHERE ref = ?", ref).fetchone()
        return None if row is None else str(row[0])

    def tag(self, image_id: str, ref: str) -> str:
        """Let `ref` (name[:tag] or name@digest) mean the image; returns its full spelling. Takes it from another image."""
        name = reference.normalise(ref)
        with self.lock():
            self._existing(image_id, image_id)
            self.links.execute("INSERT OR REPLACE INTO refs (ref, image) VALUES (?, ?)", name, image_id)
        return name

    def untag(self, ref: str) -> str:
        """Forget the reference; returns its full spelling. The image stays. Raises ImageNotFound."""
        name = reference.normalise(ref)
        if not self.links.execute("DELETE FROM refs WHERE ref = ?", name).rowcount:
            raise errors.ImageNotFound(name)
        return name

    def top_layer(self, image: Image) -> str | None:
        """The driver's id of the image's topmost layer, to make a container's layer on; None for an image without layers."""
        return self.layers.get(image.chain_ids[-1]).cache_id if image.diff_ids else None

    def delete(self, image_id: str) -> list[str]:
        """Delete the image, its references, and the layers that nothing else uses; returns the digests deleted (the image's,
        then the ChainIDs, topmost first), as ``docker rmi`` prints them. Raises ImageNotFound.

        Whether a container uses the image is the caller's question: ask it under `lock`.
        """
        with self.making() as held, self.lock():
            image = self._existing(image_id, image_id)
            for chain in image.chain_ids:
                held.chain(chain)
            self.links.execute("DELETE FROM refs WHERE image = ?", image_id)
            self.content.remove(image_id)
            self._cache.pop(image_id, None)
        return [image_id, *(chain for chain in reversed(image.chain_ids) if not self.layers.exists(chain))]

    @contextmanager
    def making(self) -> Iterator[lease.Lease]:
        """A lease to make or delete an image under. The layers it holds that no image needs at the end are deleted: whether
        the body raised or was given up, a half-made image leaves nothing. (Should that fail, a later sweep does it.)"""
        held = lease.take(self.scratch)
        try:
            yield held
        finally:
            try:
                self._collect(held, but=[held.directory])
            except (errors.SystemFault, OSError):
                self._collect(held, but=[held.directory])  # each step is safe to repeat; a fault that stays, a sweep gets
                held.end()
                raise
            held.end()

    def sweep(self) -> None:
        """Delete what processes that died left: their scratch directories, and layers that only their leases name."""
        with self.scratch.dead() as directories:
            if not directories:
                return
            held = lease.take(self.scratch)
            for directory in directories:
                held.adopt(directory)
            self._collect(held, but=[held.directory, *directories])
            held.end()

    def _collect(self, held: lease.Lease, *, but: Sequence[str]) -> None:
        """Delete what `held` names and nobody needs: layers that neither an image nor another lease names (save those of the
        leases and scratch directories `but`), and driver layers that belong to no layer.

        Records go under the lock, children before parents, and with them the lease's claim: of two who need a layer no more,
        the second must see that the first has let go. The trees, which may be large, are deleted after it.
        """
        chains, caches = held.notes()
        if not chains and not caches:
            return
        with ExitStack() as trees:
            with self.lock():
                used = lease.leased(os.path.join(self.root, "tmp"), without=but)
                for blob in self.content.digests():
                    used.update(self._image(blob).chain_ids)
                present = [self.layers.get(chain) for chain in chains - used if self.layers.exists(chain)]
                for layer in sorted(present, key=lambda layer: layer.depth, reverse=True):
                    held.cache(layer.cache_id)
                    self.layers.remove(layer.chain_id)
                held.let_go()
                owned = {self.layers.get(chain).cache_id for chain in self.layers.chains()}
            for cache_id in held.notes()[1] - owned:
                trees.callback(self.driver.remove, cache_id)


def encode_config(config: dict[str, Any] | bytes) -> bytes:
    """An image config as the bytes that its id is the digest of; bytes stay what they are."""
    return config if isinstance(config, bytes) else json.dumps(config, separators=(",", ":"), sort_keys=True).encode()


def parse_config(data: bytes) -> dict[str, Any]:
    """An image config from its bytes, with ``rootfs.diff_ids`` checked. Raises InvalidParameter."""
    try:
        config = json.loads(data)
        diff_ids = config.setdefault("rootfs", {"type": "layers", "diff_ids": []}).setdefault("diff_ids", [])
        for diff_id in diff_ids:
            identity.checked(diff_id)
    except (ValueError, TypeError, AttributeError, RecursionError) as e:
        raise errors.InvalidParameter(f"invalid image config: {e}") from e
    return config  # type: ignore[no-any-return]

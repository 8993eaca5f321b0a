"""Layers by ChainID: ``ROOT/layers/<chain hex>/layer.json`` says what a layer is and where the driver keeps its tree."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from minidock.errors import InvalidParameter, NotFound
from minidock.frozen import Frozen
from minidock.graph import identity
from minidock.graph.lease import Lease
from minidock.graphdriver import GraphDriver
from minidock.graphdriver.overlay import fault
from minidock.graphdriver.scratch import Scratch
from minidock.linux.files import write_atomic
from minidock.linux.trace import step

if TYPE_CHECKING:
    from minidock.graph.archive.reader import Readable

Lock = Callable[[], AbstractContextManager[None]]

MAX_DEPTH = 125  # layers of one image: docker's maxLayerDepth


class Layer(Frozen):
    """One layer: `cache_id` is the driver's name for it; `size` the bytes of its regular files; `depth` is 1 for a base."""

    chain_id: str
    diff_id: str
    parent: str | None
    cache_id: str
    size: int
    depth: int


class LayerStore:
    """Makes, finds and deletes layers. It does not know which are needed: that is the image store's business."""

    def __init__(self, root: str | os.PathLike[str], driver: GraphDriver, scratch: Scratch, lock: Lock) -> None:
        self._directory = os.path.join(root, "layers")
        self._driver, self._scratch, self._lock = driver, scratch, lock
        os.makedirs(self._directory, mode=0o700, exist_ok=True)

    def _path(self, chain_id: str) -> str:
        return os.path.join(self._directory, identity.hexadecimal(chain_id))

    def get(self, chain_id: str) -> Layer:
        """The layer. Raises NotFound."""
        try:
            with open(os.path.join(self._path(chain_id), "layer.json"), "rb") as file:
                return Layer(**json.load(file))
        except FileNotFoundError:
            raise NotFound(f"layer does not exist: {chain_id}") from None

    def exists(self, chain_id: str) -> bool:
        """Whether the layer is there, whole."""
        return os.path.exists(self._path(chain_id))

    def chains(self) -> Iterator[str]:
        """All ChainIDs, in order."""
        for name in sorted(os.listdir(self._directory)):
            yield identity.PREFIX + name

    def register(self, lease: Lease, parent: str | None, tar: Readable, *, diff_id: str = "") -> Layer:
        """Unpack the uncompressed `tar` as a layer on the chain `parent`. A layer that is there already is that one.

        diff_id: what the tar's digest must be ("" to take what comes). The lease holds the layer. Raises InvalidParameter
        (bad archive, wrong digest, too deep), SystemFault; nothing is left then.
        """
        below = self.get(parent) if parent else None
        depth = below.depth + 1 if below else 1
        if depth > MAX_DEPTH:
            raise InvalidParameter("max depth exceeded")
        from minidock.graph import archive  # tarfile and all compressions: most who ask for a layer unpack none

        cache_id = os.urandom(32).hex()
        stream = archive.TarStream(tar)
        with ExitStack() as undo:
            lease.cache(cache_id)
            undo.callback(self._driver.remove, cache_id)
            tree = self._driver.create(cache_id, below.cache_id if below else None)
            with step("extract layer", cache_id):
                overlay = self._driver.root(cache_id).kind == "overlay"
                whiteouts = archive.Whiteouts.OVERLAY if overlay else archive.Whiteouts.APPLY
                done = archive.extract(stream, tree, whiteouts=whiteouts, devices=True)
                digest = stream.finish()
            if diff_id and digest != diff_id:
                raise InvalidParameter(f"layer content does not match its digest: expected {diff_id}, got {digest}")
            layer = Layer(identity.chain_id(parent, digest), digest, parent, cache_id, done.size, depth)
            with self._lock():  # a deletion looks at leases under it: it sees ours, or it is over
                lease.chain(layer.chain_id)
                if self._publish(layer):
                    undo.pop_all()
                return self.get(layer.chain_id)

    def hold(self, lease: Lease, chain_id: str) -> Layer | None:
        """The layer, kept alive by the lease from now on; None if there is no such layer."""
        with self._lock():
            lease.chain(chain_id)
            return self.get(chain_id) if self.exists(chain_id) else None

    def _publish(self, layer: Layer) -> bool:
        """Make the layer visible under its ChainID, whole; False if somebody else was first."""
        with fault("register layer", layer.chain_id), ExitStack() as undo:
            half = undo.enter_context(self._scratch.directory("layer"))
            write_atomic(half / "layer.json", json.dumps(vars(layer)))
            with step("register layer", layer.chain_id):
                try:
                    os.rename(half, self._path(layer.chain_id))
                except OSError as e:
                    if e.errno in (errno.EEXIST, errno.ENOTEMPTY):
                        return False
                    raise
                published = undo.enter_context(ExitStack())
                published.callback(self._scratch.discard, self._path(layer.chain_id))
            published.pop_all()
        return True

    def remove(self, chain_id: str) -> None:
        """Delete the layer's record; its tree, from now on nobody's, is the caller's to delete with the driver.

        First the caller's lease gets a note of the tree, in case that we die in between.
        """
        self._scratch.discard(self._path(chain_id))

    def tree(self, chain_id: str) -> Path:
        """The driver's directory with the layer's own files. For reports and tests, not for writing."""
        root = self._driver.root(self.get(chain_id).cache_id)
        return Path(root.upper or root.source)

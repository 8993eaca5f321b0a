"""The graph: images, their layers, and how they come and go (Docker 1.x's ``graph``, with containerd's words).

* A *digest* is "sha256:" and 64 hex digits of some bytes; a *blob* is bytes stored under their digest.
* An image is its *config*: a JSON blob with what to run and the list of DiffIDs. The *image id* is that blob's digest.
* A *DiffID* is the digest of one layer's uncompressed tar: what the layer changes, wherever it is stacked.
* A *ChainID* names a layer together with all below it, so it names one directory tree::

      ChainID(first) = DiffID(first)          ChainID(n) = sha256(ChainID(n-1) + " " + DiffID(n))

  Two images whose first k DiffIDs agree share k ChainIDs, and those layers are stored once.
* A *cache id* is the random name under which a graph driver keeps the layer's tree (containerd: its *snapshot*).
* A *reference* (``busybox:latest``) points at an image id; it is a row in ``linkgraph.db``.
* A *lease* protects layers while no image names them yet, or no longer (lease.py).

::

    ROOT/linkgraph.db                    refs: "busybox:latest" → "sha256:1f2e…"
              │
              ▼
    ROOT/content/sha256/1f2e…            {"config": {"Cmd": ["sh"]}, "rootfs": {"diff_ids": ["sha256:aa…", "sha256:bb…"]}}
              │
              │  ChainIDs of those DiffIDs: aa…, cc…
              ▼
    ROOT/layers/cc…/layer.json           {"diff_id": "sha256:bb…", "parent": "sha256:aa…", "cache_id": "77…", "size": 4200 …}
              │
              ▼
    ROOT/overlay/77…/diff/               the files (or ROOT/vfs/77…/)

An image exists from the instant its config blob is renamed into place, which is the last step of making one; deleting one
begins with unlinking that blob. All formulas are those of the OCI image specification (config.md).
"""

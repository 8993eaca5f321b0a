"""``docker import``: one layer from a root file system's tar, and an image with an empty config around it."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from minidock.graph import changes as instructions
from minidock.graph import reference
from minidock.graph.archive import decompressed
from minidock.graph.archive.reader import Readable
from minidock.graph.store import Image, ImageStore, NewImage, encode_config

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def import_(
    store: ImageStore,
    fileobj: Readable,
    ref: str = "",
    changes: Sequence[str] = (),
    message: str = "",
    *,
    created: str = "",
    config: dict[str, Any] | None = None,
) -> Image:
    """Make an image of one layer from the tar in `fileobj` (gzip, bzip2 and xz are seen through).

    ref: what to call it ("" for nothing); changes: Dockerfile instructions such as ``CMD ["sh"]``; message: its history's
    comment; created: RFC 3339, now if ""; config: the container config to begin with. All is checked before the tar is
    read. Raises InvalidParameter, NotSupported (zstd), SystemFault; nothing is left then.
    """
    name = reference.for_tagging(ref) if ref else ""
    settings = instructions.apply(config or {}, changes)
    when = created or now()
    with store.making() as lease:
        layer = store.layers.register(lease, None, decompressed(fileobj))
        image_config = {
            "architecture": architecture(),
            "os": "linux",
            "created": when,
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": when, "comment": message or "Imported from -"}],
        }
        return store.publish([NewImage(encode_config(image_config), (layer,), (name,) if name else ())])[0]


def architecture() -> str:
    """This machine in Go's words (GOARCH), as image configs have it."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def now() -> str:
    """The time as image configs have it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")

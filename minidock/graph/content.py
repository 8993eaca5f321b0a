"""Blobs by digest: ``ROOT/content/sha256/<hex>``. What is stored is verified, and stored wholly or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from minidock.errors import NotFound, SystemFault
from minidock.graph.identity import PREFIX, digest, hexadecimal
from minidock.linux.files import write_atomic


class ContentStore:
    """Small blobs: image configs."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._directory = os.path.join(root, "content", "sha256")
        os.makedirs(self._directory, mode=0o700, exist_ok=True)

    def _path(self, blob: str) -> str:
        return os.path.join(self._directory, hexadecimal(blob))

    def write(self, data: bytes) -> str:
        """Store the blob; returns its digest. Storing it again changes nothing. Raises SystemFault."""
        blob = digest(data)
        try:
            if not os.path.exists(self._path(blob)):
                write_atomic(self._path(blob), data)
        except OSError as e:
            raise SystemFault.from_oserror("write blob", e) from e
        return blob

    def read(self, blob: str) -> bytes:
        """The blob's bytes. Raises NotFound; SystemFault if they are not what their name says."""
        try:
            with open(self._path(blob), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise NotFound(f"content digest {blob}: not found") from None
        if digest(data) != blob:
            raise SystemFault("read blob", self._path(blob), detail="its content does not match its digest")
        return data

    def exists(self, blob: str) -> bool:
        """Whether the blob is there."""
        return os.path.exists(self._path(blob))

    def remove(self, blob: str) -> None:
        """Delete the blob. Silently does nothing if it is not there."""
        with suppress(FileNotFoundError):
            os.unlink(self._path(blob))

    def digests(self) -> Iterator[str]:
        """All blobs, in order."""
        for name in sorted(os.listdir(self._directory)):
            if len(name) == 64:  # not the temporary file of a write
                yield PREFIX + name

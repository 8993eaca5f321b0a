"""The images' part of `APIClient`: load, import, tag, list, inspect, remove. Pull, push, build and save are not there yet."""

# ruff: noqa: ARG002 — docker-py's signatures, with arguments that mean nothing without HTTP, swarm or old API versions

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, cast

from minidock import daemon
from minidock.client import convert
from minidock.client.api.base import ApiBase, Resource, resource_id
from minidock.errors import InvalidArgument, NotSupported

# docker-py sends a request's body from any of these.
Data = bytes | BinaryIO | Iterable[bytes]


class ImageApi(ApiBase):
    """docker-py's ``ImageApiMixin``, over the engine in this process."""

    def images(
        self, name: str | None = None, quiet: bool = False, all: bool = False, filters: Mapping[str, Any] | None = None
    ) -> list[Any]:
        """``docker images``: dicts, or with `quiet` ids. `name` is a reference filter; `filters`: dangling, label, before,
        since, reference. `all` has no effect: only a builder leaves intermediate images."""
        wanted = dict(filters or {}) | ({"reference": name} if name else {})
        found = daemon.list_images(self.engine, filters=convert.filters(wanted))
        return [image["Id"] for image in found] if quiet else found

    def inspect_image(self, image: Resource) -> dict[str, Any]:
        """All that is known of it, in the shape of ``docker image inspect``."""
        return daemon.inspect_image(self.engine, resource_id(image))

    def history(self, image: Resource) -> list[dict[str, Any]]:
        """How it came to be, newest first."""
        return daemon.history(self.engine, resource_id(image))

    def tag(self, image: Resource, repository: str, tag: str | None = None, force: bool = False) -> bool:
        """Give it one more name. Always True; a name in use moves, with or without `force`, as since Docker 1.12."""
        daemon.tag(self.engine, resource_id(image), repository, tag)
        return True

    def remove_image(self, image: Resource, force: bool = False, noprune: bool = False) -> list[dict[str, str]]:
        """Take away a name, and the image itself with its last one: ``[{"Untagged": …}, {"Deleted": …}]``.

        `noprune` has no effect: only a builder leaves untagged parents.
        """
        return daemon.rmi(self.engine, resource_id(image), force=force)

    def prune_images(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Remove the dangling images; with ``filters={"dangling": False}`` all that no container uses."""
        return daemon.prune_images(self.engine, convert.filters(filters))

    def load_image(self, data: Data, quiet: bool | None = None) -> Iterator[dict[str, Any]]:
        """Load a docker-archive (``docker save``); yields progress records as they happen. It works as it is iterated."""
        return daemon.load(self.engine, as_file(data), quiet=bool(quiet))

    def import_image(
        self,
        src: str | Data | None = None,
        repository: str | None = None,
        tag: str | None = None,
        image: str | None = None,
        changes: list[str] | None = None,
        stream_src: bool = False,
    ) -> str:
        """Make an image of one layer from a tar of a root file system: a path, a URL, or a file object or bytes.

        `changes` are Dockerfile lines ("CMD sh"). `stream_src` has no effect here: nothing is sent. Returns the progress as
        lines of JSON; the last has the image's id as its "status".
        """
        if image:
            raise NotSupported("import_image(image=…): pulling from a registry is not supported yet; use images.load")
        if not src:
            raise InvalidArgument("Must specify src or image to import from")
        if not isinstance(src, str):
            return self._import(as_file(src), "-", repository, tag, changes)
        if not os.path.isfile(src):
            return self._import(None, src, repository, tag, changes)
        with open(src, "rb") as file:
            return self._import(file, "-", repository, tag, changes)

    def _import(
        self, file: BinaryIO | None, source: str, repository: str | None, tag: str | None, changes: list[str] | None
    ) -> str:
        records = daemon.import_(self.engine, source, file, repository=repository, tag=tag, changes=changes or ())
        return "".join(json.dumps(record) + "\r\n" for record in records)

    def import_image_from_data(
        self, data: bytes, repository: str | None = None, tag: str | None = None, changes: list[str] | None = None
    ) -> str:
        """`import_image` from bytes."""
        return self.import_image(src=data, repository=repository, tag=tag, changes=changes)

    def import_image_from_file(
        self, filename: str, repository: str | None = None, tag: str | None = None, changes: list[str] | None = None
    ) -> str:
        """`import_image` from a path."""
        return self.import_image(src=filename, repository=repository, tag=tag, changes=changes)

    def import_image_from_stream(
        self, stream: BinaryIO, repository: str | None = None, tag: str | None = None, changes: list[str] | None = None
    ) -> str:
        """`import_image` from a file object."""
        return self.import_image(src=stream, repository=repository, tag=tag, changes=changes)

    def import_image_from_url(
        self, url: str, repository: str | None = None, tag: str | None = None, changes: list[str] | None = None
    ) -> str:
        """`import_image` from an http or https URL."""
        return self.import_image(src=url, repository=repository, tag=tag, changes=changes)

    def import_image_from_image(
        self, image: str, repository: str | None = None, tag: str | None = None, changes: list[str] | None = None
    ) -> str:
        """Not supported yet: needs a registry."""
        return self.import_image(image=image, repository=repository, tag=tag, changes=changes)


class _Chunks(io.RawIOBase):
    """A file to read over an iterator of bytes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count


def as_file(data: Data) -> BinaryIO:
    """A binary file over what docker-py would have sent as a request's body."""
    if isinstance(data, bytes | bytearray | memoryview):
        return io.BytesIO(data)
    if hasattr(data, "read"):
        return cast(BinaryIO, data)
    return cast(BinaryIO, io.BufferedReader(_Chunks(data)))

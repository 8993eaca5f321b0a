"""Images and their collection, in docker-py's shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from minidock.client.api.image import Data
from minidock.client.models.resource import Collection, Model
from minidock.client.notyet import NotYet
from minidock.errors import ImageLoadError, InvalidParameter

LOADED = re.compile(r"^Loaded image(?: ID)?: (.+)$")


class Image(Model, NotYet):
    """One image."""

    NOT_YET: ClassVar[Mapping[str, str]] = {"save": "image archives cannot be written yet; a container's files can be exported"}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {', '.join(repr(tag) for tag in self.tags) or repr('')}>"

    @property
    def short_id(self) -> str:
        """``sha256:`` and the first 12 digits."""
        return self.id[:19] if self.id.startswith("sha256:") else self.id[:12]

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return (self.attrs.get("Config") or {}).get("Labels") or {}

    @property
    def tags(self) -> list[str]:
        """Its names, as ``repository:tag``."""
        return [tag for tag in self.attrs.get("RepoTags") or [] if tag != "<none>:<none>"]

    def history(self) -> list[dict[str, Any]]:
        """How it came to be, newest first."""
        return self.client.api.history(self.id)

    def tag(self, repository: str, tag: str | None = None, **kwargs: Any) -> bool:
        """Give it one more name."""
        return self.client.api.tag(self.id, repository, tag=tag, **kwargs)

    def remove(self, force: bool = False, noprune: bool = False) -> list[dict[str, str]]:
        """Remove it by its id: all its names must be in one repository, or `force`."""
        return self.client.api.remove_image(self.id, force=force, noprune=noprune)


class ImageCollection(Collection[Image], NotYet):
    """``client.images``."""

    model = Image
    NOT_YET: ClassVar[Mapping[str, str]] = {
        "build": "there is no Dockerfile builder yet; use images.load or import",
        "pull": "there is no registry client yet; use images.load, import or `minidock bootstrap`",
        "push": "there is no registry client yet",
        "search": "there is no registry client yet",
        "get_registry_data": "there is no registry client yet",
        "prune_builds": "there is no Dockerfile builder yet",
    }

    def get(self, name: str) -> Image:
        """The image with this name or id. Raises ImageNotFound."""
        return self.prepare_model(self.client.api.inspect_image(name))

    def load(self, data: Data) -> list[Image]:
        """Load an archive of ``docker save`` (bytes, a file object, an iterator of bytes). Raises ImageLoadError."""
        names = []
        try:
            for record in self.client.api.load_image(data):
                if loaded := LOADED.match(record.get("stream", "").strip()):
                    names.append(loaded[1])
        except InvalidParameter as error:
            raise ImageLoadError(error.explanation) from error
        return [self.get(name) for name in names]

    def remove(self, *args: Any, **kwargs: Any) -> None:
        """`APIClient.remove_image`, whose report is not returned."""
        self.client.api.remove_image(*args, **kwargs)

    def prune(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Remove the dangling images."""
        return self.client.api.prune_images(filters=filters)

    def list(self, name: str | None = None, all: bool = False, filters: Mapping[str, Any] | None = None) -> list[Image]:
        """The images; `name` is a reference pattern; `filters`: dangling, label, before, since, reference."""
        return [self.get(summary["Id"]) for summary in self.client.api.images(name=name, all=all, filters=filters)]

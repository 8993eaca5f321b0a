"""What all models share: `attrs` as the engine gave them, the client they came from, and `reload`."""

# ruff: noqa: ARG002 — docker-py's signatures, with arguments that mean nothing without HTTP, swarm or old API versions

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, TypeVar

if TYPE_CHECKING:
    from minidock.client.client import DockerClient


class Model:
    """One object of the engine as it was when asked; `reload` asks again. Equal when of one kind and id."""

    id_attribute: ClassVar[str] = "Id"

    def __init__(
        self,
        attrs: dict[str, Any] | None = None,
        client: DockerClient | None = None,
        collection: Collection[Any] | None = None,
    ) -> None:
        self.attrs: dict[str, Any] = {} if attrs is None else attrs
        # A model without a client can only be looked at; docker-py's is the same.
        self.client: DockerClient = client  # type: ignore[assignment]
        self.collection: Collection[Any] = collection  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.short_id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.id == other.id

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.id))

    @property
    def id(self) -> str:
        """Its full id."""
        return self.attrs.get(self.id_attribute)  # type: ignore[return-value]

    @property
    def short_id(self) -> str:
        """The first 12 characters of it."""
        return self.id[:12]

    def reload(self) -> None:
        """Take `attrs` anew from the engine."""
        self.attrs = self.collection.get(self.id).attrs


M = TypeVar("M", bound=Model)


class Collection(Generic[M]):
    """All objects of one kind; makes the models."""

    model: type[M]

    def __init__(self, client: DockerClient | None = None) -> None:
        self.client: DockerClient = client  # type: ignore[assignment]

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"'{type(self).__name__}' object is not callable. The low-level API is at client.api.")

    def get(self, key: str) -> M:
        """The one with this name or id."""
        raise NotImplementedError

    def prepare_model(self, attrs: Mapping[str, Any] | M) -> M:
        """A model of `attrs`, or the model itself, tied to this client."""
        if isinstance(attrs, Model):
            attrs.client, attrs.collection = self.client, self
            return attrs
        return self.model(attrs=dict(attrs), client=self.client, collection=self)

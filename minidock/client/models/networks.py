"""Networks and volumes and their collections, in docker-py's shape.

They can be looked at; they cannot be made or changed on their own yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from minidock.client.models.resource import Collection, Model
from minidock.client.notyet import NotYet

if TYPE_CHECKING:
    from minidock.client.models.containers import Container

NETWORKS_FIXED = "networks cannot be made or changed yet; bridge, host and none exist, chosen with network_mode"


class Network(Model, NotYet):
    """One network."""

    NOT_YET: ClassVar[Mapping[str, str]] = dict.fromkeys(("connect", "disconnect", "remove"), NETWORKS_FIXED)

    @property
    def name(self) -> str:
        """Its name."""
        return self.attrs["Name"]  # type: ignore[no-any-return]

    @property
    def containers(self) -> list[Container]:
        """The running containers in it (after `reload`: a list knows none, as docker's does not)."""
        return [self.client.containers.get(id) for id in self.attrs.get("Containers") or {}]


class NetworkCollection(Collection[Network], NotYet):
    """``client.networks``."""

    model = Network
    NOT_YET: ClassVar[Mapping[str, str]] = dict.fromkeys(("create", "prune"), NETWORKS_FIXED)

    def get(self, network_id: str, *args: Any, **kwargs: Any) -> Network:  # type: ignore[override]
        """The network with this name or id. Raises NetworkNotFound."""
        return self.prepare_model(self.client.api.inspect_network(network_id, *args, **kwargs))

    def list(self, *args: Any, greedy: bool = False, **kwargs: Any) -> list[Network]:
        """The networks; `names`, `ids` and `filters` choose; `greedy` fills in each one's containers."""
        networks = [self.prepare_model(attrs) for attrs in self.client.api.networks(*args, **kwargs)]
        if greedy:
            for network in networks:
                network.reload()
        return networks


class Volume(Model, NotYet):
    """One volume."""

    NOT_YET: ClassVar[Mapping[str, str]] = {"remove": "volumes come and go with containers yet"}

    id_attribute = "Name"

    @property
    def name(self) -> str:
        """Its name, which is its id."""
        return self.attrs["Name"]  # type: ignore[no-any-return]


class VolumeCollection(Collection[Volume], NotYet):
    """``client.volumes``."""

    model = Volume
    NOT_YET: ClassVar[Mapping[str, str]] = dict.fromkeys(("create", "prune"), "volumes come and go with containers yet")

    def get(self, volume_id: str) -> Volume:
        """The volume with this name. Raises VolumeNotFound."""
        return self.prepare_model(self.client.api.inspect_volume(volume_id))

    def list(self, **kwargs: Any) -> list[Volume]:
        """The volumes; `filters` chooses."""
        return [self.prepare_model(attrs) for attrs in self.client.api.volumes(**kwargs)["Volumes"] or []]

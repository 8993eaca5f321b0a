"""The engine's own part of `APIClient`: info, version, ping; and the networks and volumes there are."""

# ruff: noqa: ARG002 — docker-py's signatures, with arguments that mean nothing without HTTP, swarm or old API versions

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minidock import daemon
from minidock.client import convert
from minidock.client.api.base import ApiBase, Resource, resource_id


class SystemApi(ApiBase):
    """docker-py's ``DaemonApiMixin``, over the engine in this process."""

    def info(self) -> dict[str, Any]:
        """What ``docker info`` shows."""
        return daemon.info(self.engine)

    def version(self, api_version: bool = True) -> dict[str, Any]:
        """What ``docker version`` shows of the server. `api_version` has no effect: there is no URL to put it into."""
        return daemon.version(self.engine)

    def ping(self) -> bool:
        """True: the engine is this process."""
        return True

    def df(self) -> dict[str, Any]:
        """What takes how much disk: LayersSize, Images, Containers, Volumes, BuildCache."""
        return daemon.df(self.engine)

    def bootstrap(
        self, progress: Callable[[str], None] = lambda _line: None, images: Sequence[str] = ("busybox", "lab")
    ) -> None:
        """Make or refresh the base images, from this machine's files; ours, docker-py has no such call."""
        daemon.bootstrap(self.engine, progress, images)

    def close(self) -> None:
        """Close the engine. Containers go on."""
        self.engine.close()

    def networks(
        self, names: list[str] | None = None, ids: list[str] | None = None, filters: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """``docker network ls``: bridge, host and none."""
        wanted = dict(filters or {}) | ({"name": names} if names else {}) | ({"id": ids} if ids else {})
        return daemon.list_networks(self.engine, convert.filters(wanted))

    def inspect_network(self, net_id: Resource, verbose: bool | None = None, scope: str | None = None) -> dict[str, Any]:
        """``docker network inspect``. `verbose` and `scope` concern swarm networks, which do not exist here."""
        return daemon.inspect_network(self.engine, resource_id(net_id))

    def volumes(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """``docker volume ls``: ``{"Volumes": […], "Warnings": …}``. Filters: name, driver, dangling."""
        return daemon.list_volumes(self.engine, convert.filters(filters))

    def inspect_volume(self, name: str) -> dict[str, Any]:
        """``docker volume inspect``. Raises VolumeNotFound."""
        return daemon.inspect_volume(self.engine, name)

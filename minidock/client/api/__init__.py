"""`APIClient`: docker-py's low-level client, over the engine in this process.

docker-py's own turns every call into an HTTP request; this one calls the daemon's verbs as functions. What goes in and comes
out is the same: Engine API 1.41 dicts. So whatever is written against ``docker.APIClient`` (our CLI is) runs on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from minidock import daemon
from minidock.client.api.base import API_VERSION, Resource
from minidock.client.api.container import ContainerApi
from minidock.client.api.exec import ExecApi
from minidock.client.api.image import ImageApi
from minidock.client.api.system import SystemApi
from minidock.client.notyet import NotYet
from minidock.errors import InvalidArgument

__all__ = ["API_VERSION", "APIClient", "Resource"]

# What docker.APIClient takes for its HTTP connection. There is none here, so they change nothing.
HTTP_OPTIONS = {"timeout", "tls", "user_agent", "num_pools", "credstore_env", "use_ssh_client", "max_pool_size", "version"}


NO_VOLUMES = "volumes come and go with containers; they cannot be made or removed on their own yet"
NO_REGISTRY = "there is no registry client yet"


class APIClient(ContainerApi, ExecApi, ImageApi, SystemApi, NotYet):
    """The low-level client. Use it in a ``with``, or `close` it.

    `root` is the state directory (default: MINIDOCK_ROOT, else /var/lib/minidock); `storage_driver` and `userns_remap` are the
    engine's. docker.APIClient's connection options are accepted and change nothing, but for `base_url`: the engine is in this
    process, so another address is an InvalidArgument.
    """

    base_url = "minidock+embedded://"
    NOT_YET: ClassVar[Mapping[str, str]] = {
        "build": "there is no Dockerfile builder yet; use load_image or import_image",
        "commit": "containers cannot be made into images yet; export and import can",
        "connect_container_to_network": "networks cannot be changed yet; choose one with network_mode",
        "create_network": "networks cannot be made yet; bridge, host and none exist",
        "create_volume": NO_VOLUMES,
        "prune_volumes": NO_VOLUMES,
        "remove_volume": NO_VOLUMES,
        "diff": "a container's changes cannot be listed yet",
        "disconnect_container_from_network": "networks cannot be changed yet; choose one with network_mode",
        "events": "events cannot be followed yet",
        "get_archive": "files cannot be copied out yet; export the container, or exec tar",
        "get_image": "image archives cannot be written yet; a container's files can be exported",
        "inspect_distribution": NO_REGISTRY,
        "login": NO_REGISTRY,
        "prune_networks": "networks cannot be made yet",
        "pull": "there is no registry client yet; use load_image, import_image or `minidock bootstrap`",
        "push": NO_REGISTRY,
        "put_archive": "files cannot be copied in yet; bind a host directory",
        "remove_network": "networks cannot be made yet",
        "search": NO_REGISTRY,
    }

    def __init__(
        self,
        base_url: str | None = None,
        *,
        root: str | Path | None = None,
        storage_driver: str | None = None,
        userns_remap: str = "",
        **http_options: Any,
    ) -> None:
        if base_url:
            raise InvalidArgument(f"base_url={base_url!r}: this client's engine is in this process; set MINIDOCK_HOST instead")
        for name in http_options:
            if name not in HTTP_OPTIONS:
                raise TypeError(f"APIClient() got an unexpected keyword argument '{name}'")
        self.engine = daemon.open_engine(root, storage_driver=storage_driver, userns_remap=userns_remap)

    @property
    def api_version(self) -> str:
        """The Engine API version whose shapes are used."""
        return API_VERSION

    # docker-py's users read both spellings.
    _version = api_version

    def __enter__(self) -> APIClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

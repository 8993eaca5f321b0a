"""`DockerClient` and `from_env`: docker-py's high-level client, over the engine in this process.

::

    minidock.from_env()
      ├── (default)             DockerClient ── .api: APIClient ── .engine: Engine, in this process
      └── MINIDOCK_HOST is set  docker-py's own DockerClient, to the daemon at that address

``import docker; client = docker.from_env()`` and ``import minidock; client = minidock.from_env()`` give clients that are
used in the same way. DOCKER_HOST is not looked at, on purpose: it says where the learner's real Docker is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from minidock.client.api import APIClient
from minidock.client.notyet import NotYet

if TYPE_CHECKING:
    from minidock.client.models.containers import ContainerCollection
    from minidock.client.models.images import ImageCollection
    from minidock.client.models.networks import NetworkCollection, VolumeCollection
    from minidock.linux.trace import Step

# docker.from_env's own keywords, which concern an HTTP connection.
FROM_ENV_OPTIONS = {"timeout", "max_pool_size", "version", "use_ssh_client", "use_context", "environment"}
# docker-py reads these for its TLS connection; ours have names of their own, for the reason DOCKER_HOST has.
REMOTE_VARIABLES = {
    "MINIDOCK_HOST": "DOCKER_HOST",
    "MINIDOCK_TLS_VERIFY": "DOCKER_TLS_VERIFY",
    "MINIDOCK_CERT_PATH": "DOCKER_CERT_PATH",
}


class DockerClient(NotYet):
    """The high-level client. Takes `APIClient`'s arguments. Use it in a ``with``, or `close` it."""

    NOT_YET: ClassVar[Mapping[str, str]] = {
        "events": "events cannot be followed yet",
        "login": "there is no registry client yet",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.api = APIClient(*args, **kwargs)

    @classmethod
    def from_env(cls, root: str | Path | None = None, **kwargs: Any) -> DockerClient:
        """See the function `from_env`."""
        return from_env(root, **kwargs)

    @property
    def containers(self) -> ContainerCollection:
        """Run, make, find containers."""
        from minidock.client.models.containers import ContainerCollection

        return ContainerCollection(self)

    @property
    def images(self) -> ImageCollection:
        """Load, find, remove images."""
        from minidock.client.models.images import ImageCollection

        return ImageCollection(self)

    @property
    def networks(self) -> NetworkCollection:
        """Look at networks."""
        from minidock.client.models.networks import NetworkCollection

        return NetworkCollection(self)

    @property
    def volumes(self) -> VolumeCollection:
        """Look at volumes."""
        from minidock.client.models.networks import VolumeCollection

        return VolumeCollection(self)

    def info(self) -> dict[str, Any]:
        """What ``docker info`` shows."""
        return self.api.info()

    def version(self, api_version: bool = True) -> dict[str, Any]:
        """What ``docker version`` shows of the server."""
        return self.api.version(api_version)

    def ping(self) -> bool:
        """True: the engine is this process."""
        return self.api.ping()

    def df(self) -> dict[str, Any]:
        """What takes how much disk."""
        return self.api.df()

    def trace(self) -> AbstractContextManager[list[Step]]:
        """``with client.trace() as steps:`` — every syscall-level step of what is done inside, ours and not docker-py's."""
        return self.api.engine.trace()

    def close(self) -> None:
        """Close the engine. Containers go on."""
        self.api.close()

    def __enter__(self) -> DockerClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def from_env(root: str | Path | None = None, **kwargs: Any) -> DockerClient:
    """A client for the engine in this process, or for the daemon that MINIDOCK_HOST names.

    `root` is the state directory (default: MINIDOCK_ROOT, else /var/lib/minidock); given one, the engine is always embedded.
    Other keywords are docker.from_env's, which only a remote client uses, and the engine's `storage_driver` and `userns_remap`.
    The remote client is docker-py's own DockerClient (not a subclass of ours): ``minidock.errors`` are not its errors.
    """
    environment = kwargs.get("environment") or os.environ
    if root is None and environment.get("MINIDOCK_HOST"):
        return _remote(environment, kwargs)
    return DockerClient(root=root, **{name: value for name, value in kwargs.items() if name not in FROM_ENV_OPTIONS})


def _remote(environment: Mapping[str, str], kwargs: dict[str, Any]) -> DockerClient:
    import docker  # requests and urllib3 with it: 150 ms that the embedded engine never pays

    renamed = {theirs: environment[ours] for ours, theirs in REMOTE_VARIABLES.items() if environment.get(ours)}
    options = {**kwargs, "environment": renamed, "use_context": False}
    return cast(DockerClient, docker.DockerClient.from_env(**options))

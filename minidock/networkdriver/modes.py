"""The network modes that need no interface of ours: ``none``, ``host`` and ``container:X``.

They differ in the network namespace alone, and the container's config says which one that is: a new one with nothing but
``lo`` (none), the host's (host), another container's (container:X). So there is nothing to allocate and nothing to join.
"""

from __future__ import annotations

from minidock.networkdriver import Endpoint


class Mode:
    """A network mode without an interface; `name` is none, host or container."""

    def __init__(self, name: str) -> None:
        self.name = name

    def allocate(self, container_id: str, *, address: str = "", mac: str = "") -> Endpoint:  # noqa: ARG002
        """An endpoint with nothing in it."""
        return Endpoint(self.name, interface="")

    def join(self, endpoint: Endpoint, pid: int) -> None:
        """Nothing to put in."""

    def leave(self, endpoint: Endpoint) -> None:
        """Nothing to take away."""

    def release(self, container_id: str) -> None:
        """Nothing to give back."""

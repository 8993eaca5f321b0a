"""What the daemon asks of a network, and what a container gets from one (Docker 1.x's ``daemon/networkdriver``).

Here lie the drivers (`bridge`; host, none and container in `modes`), the allocator of addresses, the firewall's rules and the
texts of a container's files in /etc. A driver knows no container but its id, and no image.

May import: `errors`, `linux`, `linkgraph`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Endpoint(NamedTuple):
    """One interface of one container. Addresses are text ("172.17.0.2"); prefix_len the mask's length; veth the host end."""

    network: str
    interface: str = "eth0"
    address: str = ""
    prefix_len: int = 0
    gateway: str = ""
    mac: str = ""
    veth: str = ""
    mtu: int = 1500


class NetworkDriver(Protocol):
    """`allocate` and `release` deal in names and numbers (SQLite), `join` and `leave` in the kernel's objects."""

    name: str

    def allocate(self, container_id: str, *, address: str = "", mac: str = "") -> Endpoint:
        """Reserve an address. Errors: InvalidParameter (not in the subnet), Forbidden (in use: "Address already in use")."""
        ...

    def join(self, endpoint: Endpoint, pid: int) -> None:
        """Put the interface into the network namespace of `pid`, with address, MAC, route, up. All or nothing."""
        ...

    def leave(self, endpoint: Endpoint) -> None:
        """Take the interface away, if the namespace's end has not already done so."""
        ...

    def release(self, container_id: str) -> None:
        """Give the address back. Safe to repeat."""
        ...

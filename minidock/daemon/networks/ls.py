"""``docker network ls`` and ``inspect``: the networks there are. They cannot be made or removed yet.

Source: Engine API 1.41, ``GET /networks``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.daemon.base.timestamps import ZERO
from minidock.daemon.base.verb import verb
from minidock.daemon.record.container import Container, read_json
from minidock.daemon.record.names import all_containers
from minidock.daemon.record.network import endpoint_of, mode_of, plain
from minidock.daemon.request.filters import Filters
from minidock.errors import InvalidParameter, NetworkNotFound

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}  # docker's names of them


@verb
def list_networks(engine: Engine, filters: Filters | None = None) -> list[dict[str, Any]]:
    """The networks; `filters`: name and id (a part of it is enough), driver, type, scope. Their containers are not filled in.

    Raises InvalidParameter for another filter.
    """
    found = [_network(engine, name) for name in engine.networks.names()]
    for name, values in (filters or {}).items():
        if name in ("name", "id"):
            found = [n for n in found if any(value in n["Name"] for value in values)]
        elif name in ("driver", "scope"):
            found = [n for n in found if n[name.capitalize()] in values]
        elif name == "type":
            found = [n for n in found if "builtin" in values]
        else:
            raise InvalidParameter(f"Invalid filter '{name}'")
    return found


@verb
def inspect_network(engine: Engine, ref: str) -> dict[str, Any]:
    """The network with this name, with the containers that run in it. Raises NetworkNotFound."""
    if ref not in engine.networks.names():
        raise NetworkNotFound(ref)
    network = _network(engine, ref)
    for name, container in all_containers(engine):
        if plain(mode_of(container)) == ref and container.state().running:
            network["Containers"][container.id] = _endpoint(engine, name, container)
    return network


def _network(engine: Engine, name: str) -> dict[str, Any]:
    # The subnet is chosen when the bridge is first needed.
    bridge = read_json(engine.paths.root / "network" / "bridge.json") if name == "bridge" else None
    config = []
    if bridge:
        from ipaddress import ip_interface  # 5 ms, for this line

        interface = ip_interface(bridge["interface"])
        config = [{"Subnet": str(interface.network), "Gateway": str(interface.ip)}]
    return {
        "Name": name,
        "Id": name,
        "Created": ZERO,
        "Scope": "local",
        "Driver": DRIVERS[name],
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": config},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {"com.docker.network.bridge.name": bridge["bridge"]} if bridge else {},
        "Labels": {},
    }


def _endpoint(engine: Engine, name: str, container: Container) -> dict[str, str]:
    endpoint = endpoint_of(engine, container)
    address = f"{endpoint.address}/{endpoint.prefix_len}" if endpoint else ""
    mac = endpoint.mac if endpoint else ""
    return {"Name": name, "EndpointID": "", "MacAddress": mac, "IPv4Address": address, "IPv6Address": ""}

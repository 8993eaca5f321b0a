"""Which driver a container's network mode means, and what a container gets from it: an endpoint and three files.

An endpoint lives as long as a run, so it is kept in the run directory (``RUN/<id>/endpoint.json``): a reboot takes both away.
"""

from __future__ import annotations

import ipaddress
import json
import os
from typing import TYPE_CHECKING, Any

from minidock.daemon.record.container import Container, read_json
from minidock.errors import InvalidParameter, NetworkNotFound
from minidock.linux import trace
from minidock.networkdriver import Endpoint, NetworkDriver, hosts, resolvconf
from minidock.networkdriver.modes import Mode

if TYPE_CHECKING:
    from minidock.daemon.base.paths import Paths
    from minidock.daemon.engine import Engine
    from minidock.daemon.request.wire import ContainerConfig, HostConfig
    from minidock.execdriver.config import Mount
    from minidock.linkgraph import LinkGraph

MODES = ("none", "host")


class Networks:
    """The instance's networks by name. A driver is made when it is first asked for."""

    def __init__(self, paths: Paths, links: LinkGraph) -> None:
        self._paths, self._links = paths, links
        self._drivers: dict[str, NetworkDriver] = {}

    def names(self) -> tuple[str, ...]:
        """All that ``--net`` can name here."""
        return ("bridge", *MODES)

    def driver(self, mode: str) -> NetworkDriver:
        """The driver behind a network mode. Raises NetworkNotFound."""
        name = plain(mode)
        if name not in self._drivers:
            self._drivers[name] = self._make(name)
        return self._drivers[name]

    def _make(self, name: str) -> NetworkDriver:
        if name in (*MODES, "container"):
            return Mode(name)
        if name != "bridge":
            raise NetworkNotFound(name)
        from minidock.networkdriver.bridge import Bridge

        link, chain = bridge_names(self._paths)
        return Bridge(self._links, self._paths.root / "network" / "bridge.json", link=link, chain=chain)


def bridge_names(paths: Paths) -> tuple[str, str]:
    """What the instance calls its bridge and its iptables chain. Another instance's bridge has its 8 digits alone, because
    Linux wants interface names below 16 characters."""
    digits = paths.instance.removeprefix("minidock").removeprefix("-")
    return (f"md-{digits}", f"MINIDOCK-{digits.upper()}") if digits else ("minidock0", "MINIDOCK")


def plain(mode: str) -> str:
    """The network's name behind a mode: "" and default are the bridge, container:X is container."""
    return {"": "bridge", "default": "bridge"}.get(mode, mode).partition(":")[0]


def mode_name(config: ContainerConfig, host_config: HostConfig) -> str:
    """The ``NetworkMode`` asked for ("none" for the API's NetworkDisabled)."""
    return "none" if config.get("NetworkDisabled") else str(host_config.get("NetworkMode") or "default")


def mode_of(container: Container) -> str:
    """The container's network mode."""
    return mode_name(container.config, container.host_config)


def check_address(mode: str, address: str) -> None:
    """Refuse an address for a container that gets none, and what is no address. Whether it is free, the driver knows."""
    if plain(mode) in (*MODES, "container"):
        raise InvalidParameter("user specified IP address is supported on user defined networks only")
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        raise InvalidParameter(f"invalid IPv4 address: {address}") from None


def allocate(engine: Engine, container: Container) -> Endpoint:
    """Reserve the container's address and note it in the run directory. `release` is the undo."""
    wanted = container.record.get("Network") or {}
    driver = engine.networks.driver(mode_of(container))
    mac = str(container.config.get("MacAddress") or "")
    endpoint = driver.allocate(container.id, address=wanted.get("IPv4Address") or "", mac=mac)
    if endpoint.address:
        path = engine.paths.run_dir(container.id) / "endpoint.json"
        with trace.step("write", path):
            path.write_text(json.dumps(endpoint._asdict()))
    return endpoint


def endpoint_of(engine: Engine, container: Container) -> Endpoint | None:
    """The endpoint of the present run, if it has one with an address."""
    value = read_json(engine.paths.run_dir(container.id) / "endpoint.json")
    return Endpoint(**value) if value else None


def release(engine: Engine, container: Container) -> None:
    """Take the interface away and give the address back. Safe to repeat."""
    mode = mode_of(container)
    if plain(mode) in (*MODES, "container"):
        return
    driver = engine.networks.driver(mode)
    endpoint = endpoint_of(engine, container)
    if endpoint is not None:
        driver.leave(endpoint)
    driver.release(container.id)


def write_files(engine: Engine, container: Container, endpoint: Endpoint) -> tuple[Mount, ...]:
    """Make /etc/hostname, /etc/hosts and /etc/resolv.conf in the container's folder; returns their mounts.

    A container with a read-only root gets them read-only (moby ``Container.NetworkMounts``). They are not state: each start
    writes them anew, so they need neither a temporary name nor an fsync.
    """
    from minidock.execdriver.config import Mount  # most commands only show networks

    directory = str(container.directory)
    joined = joined_network(container)
    if joined is not None:
        directory = str(engine.paths.container(joined))
    else:
        with trace.step("write hostname, hosts, resolv.conf", directory):
            for name, text in texts(container, endpoint).items():
                with open(f"{directory}/{name}", "w") as f:
                    f.write(text)
                os.chmod(f"{directory}/{name}", 0o644)
    names = ("resolv.conf", "hostname", "hosts")
    taken = {point["destination"] for point in container.record.get("MountPoints") or ()}
    options = ("rbind", "ro") if container.host_config.get("ReadonlyRootfs") else ("rbind",)
    return tuple(
        Mount(f"/etc/{name}", "bind", f"{directory}/{name}", options, create="file")
        for name in names
        if f"/etc/{name}" not in taken
    )


def texts(container: Container, endpoint: Endpoint) -> dict[str, str]:
    """The three files' texts."""
    config, host_config = container.config, container.host_config
    host = plain(mode_of(container)) == "host"
    extra = [hosts.parse_extra(entry.replace("host-gateway", endpoint.gateway or "127.0.0.1"))
             for entry in host_config.get("ExtraHosts") or ()]  # fmt: skip
    if host and os.path.exists("/etc/hosts"):
        with open("/etc/hosts") as f:
            hosts_text = f.read() + "".join(f"{address}\t{name}\n" for address, name in extra)
    else:
        domain = config.get("Domainname") or ""
        hosts_text = hosts.text(address=endpoint.address, hostname=config["Hostname"], domainname=domain, extra=extra)
    resolv = resolvconf.text(
        dns=host_config.get("Dns") or (),
        search=host_config.get("DnsSearch") or (),
        options=host_config.get("DnsOptions") or (),
        own_namespace=not host,
    )
    return {"hostname": config["Hostname"] + "\n", "hosts": hosts_text, "resolv.conf": resolv}


def joined_network(container: Container) -> str | None:
    """The id of the container whose network this one shares (``--net=container:X``)."""
    mode = mode_of(container)
    return mode.partition(":")[2] if mode.startswith("container:") else None


def shown(engine: Engine, container: Container, running: bool) -> dict[str, Any]:
    """The Engine API's ``NetworkSettings``."""
    endpoint = endpoint_of(engine, container) if running else None
    shown: dict[str, Any] = {
        "Bridge": "",
        "SandboxID": "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": dict.fromkeys(container.config.get("ExposedPorts") or {}) if running else {},
        "SandboxKey": "",
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": "",
        "Gateway": endpoint.gateway if endpoint else "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": endpoint.address if endpoint else "",
        "IPPrefixLen": endpoint.prefix_len if endpoint else 0,
        "IPv6Gateway": "",
        "MacAddress": endpoint.mac if endpoint else "",
        "Networks": {},
    }
    name = plain(mode_of(container))
    if name != "container":
        keys = ("EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen")
        shared = {key: shown[key] for key in (*keys, "MacAddress")}
        wanted = container.record.get("Network") or None
        base = {"IPAMConfig": wanted, "Links": None, "Aliases": None, "NetworkID": name, "DriverOpts": None}
        shown["Networks"] = {name: base | shared}
    return shown

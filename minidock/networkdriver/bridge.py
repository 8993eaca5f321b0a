"""``--net=bridge``: a veth pair from the container to a Linux bridge, an address, a gateway, NAT to the outside.

::

      host                                              container
      ┌───────────────────────────────────────┐         ┌──────────────────────────┐
      │ minidock0  172.29.0.1/16 (the gateway)│         │ lo    127.0.0.1          │
      │   ├─ ve3f2a91c4d0b  ══════════════════╪═ veth ══╪═ eth0 172.29.0.2/16      │
      │   └─ …                                │         │  default via 172.29.0.1  │
      │ FORWARD, POSTROUTING → chain MINIDOCK │         └──────────────────────────┘
      └───────────────────────────────────────┘

The bridge is made by the first container that wants it and stays until the instance is taken down. Its subnet is the first of
`CANDIDATES` that overlaps no route of the host; it is kept in ``ROOT/network/bridge.json``, so that addresses survive a
reboot. docker0's usual subnet is not among the candidates, so that a Docker started later finds it free.

A container's veth needs no deleting: when the last process of its network namespace is gone the kernel takes the pair
down, off anyone's critical path (deleting one by hand takes some 20 ms). `leave` is for a start that failed half-way.
"""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from minidock.errors import InvalidParameter, SystemFault, Unavailable
from minidock.linkgraph import LinkGraph
from minidock.linux import files, netlink, trace
from minidock.networkdriver import Endpoint, iptables
from minidock.networkdriver.ipallocator import IPAllocator

CANDIDATES: tuple[str, ...] = (
    *(f"172.{n}.0.0/16" for n in range(29, 19, -1)),
    *(f"10.{n}.0.0/16" for n in range(231, 251)),
    *(f"192.168.{n}.0/24" for n in range(200, 250)),
)
# One lock for all instances of the machine: two of them must not choose the same subnet.
LOCK = "/run/lock/minidock-network.lock"
NETWORK = "bridge"


def mac_for(address: str) -> str:
    """Docker's MAC for an address: 02:42 and the four bytes, so that a repeated address repeats the MAC."""
    return "02:42:" + ":".join(f"{b:02x}" for b in IPv4Address(address).packed)


def check_mac(mac: str) -> str:
    """A unicast MAC in canonical form. InvalidParameter in docker's words."""
    try:
        raw = netlink.mac_bytes(mac)
    except ValueError:
        raw = b""
    if len(raw) != 6 or mac.count(":") != 5 or raw[0] & 1:
        raise InvalidParameter(f"{mac} is not a valid mac address")
    return ":".join(f"{b:02x}" for b in raw)


def routes() -> Iterator[IPv4Network]:
    """The destinations of the host's IPv4 routes (/proc/PID/net/route, proc(5)), the default route left out."""
    for line in Path("/proc/thread-self/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        destination, mask = (struct.pack("<I", int(fields[i], 16)) for i in (1, 7))
        network = IPv4Network((IPv4Address(destination), str(IPv4Address(mask))), strict=False)
        if network.prefixlen:
            yield network


def free_subnet() -> IPv4Network:
    """The first candidate that overlaps no route."""
    taken = list(routes())
    for candidate in map(IPv4Network, CANDIDATES):
        if not any(candidate.overlaps(route) for route in taken):
            return candidate
    raise Unavailable(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network"
    )


class Bridge:
    """The bridge network of one instance.

    `link` is the bridge's name (at most 15 characters), `chain` the iptables chain's; `state` the file that keeps the subnet.
    """

    name = NETWORK

    def __init__(self, links: LinkGraph, state: Path, *, link: str, chain: str, icc: bool = True, mtu: int = 1500) -> None:
        self.links, self.state, self.link, self.chain, self.icc, self.mtu = links, state, link, chain, icc, mtu

    # -- the bridge itself --

    def ensure(self) -> IPv4Interface:
        """Make the bridge, its rules and forwarding if they are not there; returns its own address, the gateway."""
        if netlink.exists(self.link) and self.state.exists():
            return self.interface()
        self.state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with files.flock(LOCK), ExitStack() as undo:
            interface = self._choose()
            try:
                self._make(interface, undo)
            except OSError as e:
                raise SystemFault.from_oserror(f"make bridge {self.link} ({interface}):", e) from e
            undo.pop_all()
        return interface

    def interface(self) -> IPv4Interface:
        """The bridge's address and subnet, from its state file."""
        return IPv4Interface(json.loads(self.state.read_text())["interface"])

    def _choose(self) -> IPv4Interface:
        """The subnet this instance had before, if it still collides with nothing; else a free one."""
        if netlink.exists(self.link) and self.state.exists():
            return self.interface()
        if self.state.exists():
            interface = self.interface()
            if not any(interface.network.overlaps(route) for route in routes()):
                return interface
        subnet = free_subnet()
        return IPv4Interface(f"{subnet.network_address + 1}/{subnet.prefixlen}")

    def _make(self, interface: IPv4Interface, undo: ExitStack) -> None:
        with netlink.Rtnl() as rtnl:
            if not netlink.exists(self.link):
                undo.callback(self._delete_link)
                rtnl.add_bridge(self.link, mtu=self.mtu)
                # an address of its own: without one the bridge's changes as containers come and go
                rtnl.set_mac(self.link, mac_for(str(interface.ip)))
                rtnl.add_address(self.link, interface)
                rtnl.set_up(self.link)
        with trace.step("write", "/proc/sys/net/ipv4/ip_forward"):
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        undo.callback(iptables.remove, self.chain)
        iptables.install(self.chain, self.link, str(interface.network), icc=self.icc)
        files.write_atomic(self.state, json.dumps({"interface": str(interface), "bridge": self.link}))

    def remove(self) -> None:
        """Take down the bridge and its rules; safe to repeat. The subnet stays remembered."""
        with files.flock(LOCK):
            self._delete_link()
            iptables.remove(self.chain)

    def _delete_link(self) -> None:
        with netlink.Rtnl() as rtnl:
            _delete(rtnl, self.link)

    # -- one container --

    def _allocator(self, interface: IPv4Interface) -> IPAllocator:
        return IPAllocator(self.links, self.name, interface.network, interface.ip)

    def allocate(self, container_id: str, *, address: str = "", mac: str = "") -> Endpoint:
        """Reserve an address (the bridge is made first, if need be); see the Protocol for errors."""
        mac = check_mac(mac) if mac else ""
        interface = self.ensure()
        chosen = self._allocator(interface).request(container_id, address)
        return Endpoint(
            network=self.name,
            address=chosen,
            prefix_len=interface.network.prefixlen,
            gateway=str(interface.ip),
            mac=mac or mac_for(chosen),
            veth=f"ve{container_id[:12]}",
            mtu=self.mtu,
        )

    def join(self, endpoint: Endpoint, pid: int) -> None:
        """Put eth0 into the network namespace of `pid`; on a fault the veth pair is gone again."""
        interface = IPv4Interface(f"{endpoint.address}/{endpoint.prefix_len}")
        gateway = IPv4Address(endpoint.gateway)

        def configure(rtnl: netlink.Rtnl) -> None:
            rtnl.set_up("lo")
            ipv6 = Path(f"/proc/sys/net/ipv6/conf/{endpoint.interface}/disable_ipv6")
            if ipv6.exists():  # a kernel may have none; the network is IPv4, as Docker's default one is
                ipv6.write_text("1")
            rtnl.add_address(endpoint.interface, interface)
            rtnl.set_up(endpoint.interface)
            rtnl.add_default_route(endpoint.interface, gateway)

        try:
            with ExitStack() as stack:
                rtnl = stack.enter_context(netlink.Rtnl())
                netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, netns)
                master = netlink.index(self.link)
                # the undo first: an error may be raised after the pair was made
                undo = stack.enter_context(ExitStack())
                undo.callback(_delete, rtnl, endpoint.veth)
                try:
                    self._add_veth(rtnl, endpoint, netns, master)
                except FileExistsError:  # of a run just ended: the kernel takes its time with a network namespace
                    _delete(rtnl, endpoint.veth)
                    self._add_veth(rtnl, endpoint, netns, master)
                netlink.inside(netns, configure)
                undo.pop_all()
        except OSError as e:
            raise SystemFault.from_oserror(f"join network {self.name} with {endpoint.veth}:", e) from e

    def _add_veth(self, rtnl: netlink.Rtnl, endpoint: Endpoint, netns: int, master: int) -> None:
        rtnl.add_veth(endpoint.veth, endpoint.interface, netns, mac=endpoint.mac, mtu=endpoint.mtu, master=master)

    def leave(self, endpoint: Endpoint) -> None:
        """Delete the veth pair if it is still there."""
        with netlink.Rtnl() as rtnl:
            _delete(rtnl, endpoint.veth)

    def release(self, container_id: str) -> None:
        """Give the container's address back."""
        self.links.execute("DELETE FROM addresses WHERE network = ? AND container = ?", self.name, container_id)


def _delete(rtnl: netlink.Rtnl, name: str) -> None:
    """Delete a link that may have gone by itself."""
    try:
        rtnl.delete(name)
    except OSError as e:
        if e.errno not in (errno.ENODEV, errno.ENXIO):
            raise

"""The firewall: the rules as a literal list, and real packets between namespaces, those of others too.

::

    one ── md-test ── router ── out0 ── outside (192.0.2.2)          one, two: containers
    two ──────┘          └── in0 ── other (198.51.100.2)             other: somebody else's machine behind the same router
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minidock.linkgraph import LinkGraph
from minidock.networkdriver import Endpoint, iptables
from minidock.networkdriver.bridge import Bridge
from tests.linux.networkdriver.test_bridge import ID, Sleeper, bridge, host, in_new_netns  # noqa: F401  (bridge: a fixture)

PING = ("busybox", "ping", "-c1", "-W1")
RULES = """\
*filter
:C - [0:0]
-A C -o b -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A C -i b ! -o b -j ACCEPT
-A C -i b -o b -j ACCEPT
COMMIT
*nat
:C - [0:0]
-A C -s 10.9.0.0/16 ! -o b -j MASQUERADE
COMMIT
"""


def test_the_rules_are_dockers() -> None:
    """As Docker 1.5 had them (daemon/networkdriver/bridge), in chains of our own."""
    assert iptables.rules("C", "b", "10.9.0.0/16") == RULES


def link(to: Sleeper, name: str, ours: str, theirs: str) -> None:
    """A veth pair between the router (this namespace) and `to`, with an address at each end; no route back."""
    host("ip", "link", "add", name, "type", "veth", "peer", "name", "eth1", "netns", str(to.pid))
    host("ip", "addr", "add", f"{ours}/24", "dev", name)
    host("ip", "link", "set", name, "up")
    to.run("ip", "addr", "add", f"{theirs}/24", "dev", "eth1")
    to.run("ip", "link", "set", "eth1", "up")


def reached(one: Sleeper, target: str) -> bool:
    return "1 packets received" in one.run(*PING, target)


@contextmanager
def container(bridge: Bridge, id: str) -> Iterator[tuple[Sleeper, Endpoint]]:  # noqa: F811
    with Sleeper() as made:
        endpoint = bridge.allocate(id)
        bridge.join(endpoint, made.pid)
        yield made, endpoint


def test_foreign_traffic_stays_dropped(bridge: Bridge) -> None:  # noqa: F811
    """Whose FORWARD policy is DROP has reasons: our rules let our containers' traffic through and nobody else's."""

    def body() -> None:
        host("iptables", "-P", "FORWARD", "DROP")
        with container(bridge, ID) as (one, endpoint), Sleeper() as outside, Sleeper() as other:
            link(outside, "out0", "192.0.2.1", "192.0.2.2")
            link(other, "in0", "198.51.100.1", "198.51.100.2")
            outside.run("ip", "route", "add", "default", "via", "192.0.2.1")
            other.run("ip", "route", "add", "default", "via", "198.51.100.1")
            assert reached(one, "192.0.2.2") and reached(one, "198.51.100.2")
            assert not reached(other, "192.0.2.2"), "the machine forwards for others"
            assert not reached(outside, endpoint.address), "a container is reached from outside"
            host("iptables", "-P", "FORWARD", "ACCEPT")
            assert reached(other, "192.0.2.2") and reached(outside, endpoint.address), "control: the way is there"
        bridge.remove()

    in_new_netns(body)


def sender(catcher: Sleeper, speaker: Sleeper, target: str) -> str:
    """From which address `catcher`, who is `target`, sees `speaker` connect."""
    listening = subprocess.Popen(
        ["nsenter", "-t", str(catcher.pid), "-n", "busybox", "nc", "-l", "-p", "7777"], stdin=subprocess.PIPE, stdout=-1
    )
    try:
        wait_for_listener(catcher)
        speaking = subprocess.Popen(
            ["nsenter", "-t", str(speaker.pid), "-n", "busybox", "nc", target, "7777"], stdin=subprocess.PIPE, stdout=-1
        )
        try:
            return peer_of(catcher)
        finally:
            speaking.kill()
            speaking.communicate()
    finally:
        listening.kill()
        listening.communicate()


def wait_for_listener(where: Sleeper) -> None:
    for _ in range(500):
        if "LISTEN" in where.run("busybox", "netstat", "-tln"):
            return
    raise TimeoutError("nobody listens")


def peer_of(where: Sleeper) -> str:
    """The address at the other end of the one connection there."""
    for _ in range(500):
        for line in where.run("busybox", "netstat", "-tn").splitlines():
            if "ESTABLISHED" in line:
                return line.split()[4].rpartition(":")[0].removeprefix("::ffff:")
    raise TimeoutError("nobody has connected")


def test_only_what_leaves_a_container_for_outside_is_masqueraded(bridge: Bridge) -> None:  # noqa: F811
    """A container has the host's address outside, its own among containers; and others keep theirs."""

    def body() -> None:
        host("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0") if Path("/proc/sys/net/bridge").exists() else None
        with container(bridge, ID) as (one, first), container(bridge, ID[::-1]) as (two, second):
            with Sleeper() as outside, Sleeper() as other:
                link(outside, "out0", "192.0.2.1", "192.0.2.2")
                link(other, "in0", "198.51.100.1", "198.51.100.2")
                outside.run("ip", "route", "add", "default", "via", "192.0.2.1")
                other.run("ip", "route", "add", "default", "via", "198.51.100.1")
                assert sender(outside, one, "192.0.2.2") == "192.0.2.1"
                assert sender(two, one, second.address) == first.address
                assert sender(outside, other, "192.0.2.2") == "198.51.100.2", "others are not ours to masquerade"
        bridge.remove()

    in_new_netns(body)


def test_before_a_firewalls_own_drop(bridge: Bridge) -> None:  # noqa: F811
    """A rule that was there first, as ufw's and firewalld's are."""

    def body() -> None:
        host("iptables", "-A", "FORWARD", "-j", "DROP")
        with container(bridge, ID) as (one, _), Sleeper() as outside:
            link(outside, "out0", "192.0.2.1", "192.0.2.2")
            assert reached(one, "192.0.2.2")
        bridge.remove()

    in_new_netns(body)


def test_the_gateways_mac_stays_as_containers_come_and_go(bridge: Bridge) -> None:  # noqa: F811
    """A bridge without an address of its own takes its lowest port's; the neighbours' ARP entries would go stale."""

    def body() -> None:
        bridge.ensure()
        before = host("ip", "-br", "link", "show", "md-test").split()[2]
        with container(bridge, ID), container(bridge, ID[::-1]):
            assert host("ip", "-br", "link", "show", "md-test").split()[2] == before
            gateway = bridge.interface().ip
            assert before == "02:42:" + ":".join(f"{byte:02x}" for byte in gateway.packed)
        assert host("ip", "-br", "link", "show", "md-test").split()[2] == before
        bridge.remove()

    in_new_netns(body)


def test_both_ends_have_the_networks_mtu_and_a_broadcast_address(tmp_path: Path) -> None:
    links = LinkGraph(tmp_path / "linkgraph.db")
    small = Bridge(links, tmp_path / "network" / "bridge.json", link="md-test", chain="MINIDOCK-TEST", mtu=1280)

    def body() -> None:
        with container(small, ID) as (one, endpoint):
            assert "mtu 1280 " in one.run("ip", "link", "show", "eth0")
            assert "mtu 1280 " in host("ip", "link", "show", endpoint.veth)
            broadcast = str(small.interface().network.broadcast_address)
            assert f"brd {broadcast} " in one.run("ip", "addr", "show", "eth0")
        small.remove()

    in_new_netns(body)
    links.close()


@pytest.mark.parametrize("taken", ["address", "name"])
def test_the_kernels_refusal_is_an_error(tmp_path: Path, taken: str) -> None:
    from ipaddress import IPv4Interface

    from minidock.linux import netlink

    def body() -> None:
        with netlink.Rtnl() as rtnl:
            rtnl.add_bridge("b0")
            address = IPv4Interface("10.1.2.3/24")
            rtnl.add_address("b0", address)
            with pytest.raises(FileExistsError):
                rtnl.add_address("b0", address) if taken == "address" else rtnl.add_bridge("b0")

    in_new_netns(body)

"""The allocator against a plain model: in order, never twice, not reused before the wrap."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidock.errors import Forbidden, InvalidParameter, Unavailable
from minidock.linkgraph import LinkGraph
from minidock.networkdriver.ipallocator import IPAllocator

SUBNET = ipaddress.IPv4Network("10.9.8.0/29")  # six hosts, one of them the gateway
GATEWAY = ipaddress.IPv4Address("10.9.8.1")


@pytest.fixture
def links(tmp_path: Path) -> LinkGraph:
    return LinkGraph(tmp_path / "linkgraph.db")


def allocator(links: LinkGraph, name: str = "bridge") -> IPAllocator:
    return IPAllocator(links, name, SUBNET, GATEWAY)


def test_in_order_and_not_reused_before_the_wrap(links: LinkGraph) -> None:
    ips = allocator(links)
    assert [ips.request(c) for c in "abc"] == ["10.9.8.2", "10.9.8.3", "10.9.8.4"]
    ips.release("a")
    assert [ips.request(c) for c in "def"] == ["10.9.8.5", "10.9.8.6", "10.9.8.2"]
    with pytest.raises(Unavailable, match="no available IPv4 addresses"):
        ips.request("g")


def test_asked_for(links: LinkGraph) -> None:
    """--ip is given if it is free and in the network; a taken one is refused, and never given twice."""
    ips = allocator(links)
    assert ips.request("a", "10.9.8.5") == "10.9.8.5"
    assert ips.request("b") == "10.9.8.2"
    for taken in ("10.9.8.5", "10.9.8.1", "10.9.8.0", "10.9.8.7"):
        with pytest.raises(Forbidden, match="Address already in use"):
            ips.request("c", taken)
    with pytest.raises(InvalidParameter, match="does not belong"):
        ips.request("c", "10.9.9.2")
    with pytest.raises(InvalidParameter, match="invalid IPv4"):
        ips.request("c", "ten.nine")


def test_networks_do_not_mix(links: LinkGraph) -> None:
    assert allocator(links, "one").request("a") == allocator(links, "two").request("a") == "10.9.8.2"
    allocator(links, "one").release("a")
    with pytest.raises(Forbidden):
        allocator(links, "two").request("b", "10.9.8.2")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans()), max_size=30))
def test_never_two_holders(tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, bool]]) -> None:
    ips = allocator(LinkGraph(tmp_path_factory.mktemp("ip") / "linkgraph.db"))
    held: dict[str, set[str]] = {}
    for container, take in operations:
        if not take:
            ips.release(container)
            held.pop(container, None)
            continue
        used = set().union(*held.values()) if held else set()
        if len(used) == 5:
            with pytest.raises(Unavailable):
                ips.request(container)
            continue
        address = ips.request(container)
        assert address not in used and ipaddress.IPv4Address(address) in SUBNET and address != str(GATEWAY)
        held.setdefault(container, set()).add(address)
    ips.links.close()

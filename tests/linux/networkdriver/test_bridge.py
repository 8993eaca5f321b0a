"""The bridge for real: in a network namespace of the test's own, so that the machine's links and rules are left alone."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minidock.errors import Forbidden, SystemFault
from minidock.linkgraph import LinkGraph
from minidock.linux import netlink, trace
from minidock.linux.libc import syscall
from minidock.networkdriver.bridge import Bridge

CLONE_NEWNET = 0x40000000
ID = "0123456789abcdef" * 4


def in_new_netns(body: Callable[[], None]) -> None:
    """Run `body` in a thread that has a network namespace of its own (and the processes it starts, too)."""
    error: list[BaseException] = []

    def run() -> None:
        try:
            syscall("unshare", CLONE_NEWNET)
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            body()
        except BaseException as e:  # noqa: BLE001  (carried to the test's own thread)
            error.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if error:
        raise error[0]


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    links = LinkGraph(tmp_path / "linkgraph.db")
    yield Bridge(links, tmp_path / "network" / "bridge.json", link="md-test", chain="MINIDOCK-TEST")
    links.close()


class Sleeper:
    """A process in a network namespace of its own: what a container is to a network."""

    def __enter__(self) -> Sleeper:
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=-1, stdout=-1)
        assert self.process.stdout is not None
        self.process.stdout.readline()
        self.pid = self.process.pid
        return self

    def run(self, *command: str) -> str:
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-n", *command], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.communicate()


def host(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_address_route_and_reach(bridge: Bridge) -> None:
    def body() -> None:
        with Sleeper() as one, Sleeper() as two:
            a, b = bridge.allocate(ID), bridge.allocate(ID[::-1])
            bridge.join(a, one.pid)
            bridge.join(b, two.pid)
            assert f"inet {a.address}/{a.prefix_len}" in one.run("ip", "addr", "show", "eth0")
            assert a.mac in one.run("ip", "link", "show", "eth0")
            assert f"default via {a.gateway} dev eth0" in one.run("ip", "route")
            assert "md-test" in host("ip", "link", "show", a.veth)
            for target in (a.gateway, b.address):
                assert "1 packets received" in one.run("busybox", "ping", "-c1", "-W2", target)
            assert "1 packets received" not in one.run("busybox", "ping", "-c1", "-W1", a.gateway[:-1] + "99")
        bridge.remove()

    in_new_netns(body)


def test_right_where_forward_is_drop(bridge: Bridge) -> None:
    """Docker's own FORWARD DROP, before us and after us: traffic passes; without our chain it does not."""

    def body() -> None:
        host("iptables", "-P", "FORWARD", "DROP")
        with Sleeper() as one, Sleeper() as outside:
            endpoint = bridge.allocate(ID)
            bridge.join(endpoint, one.pid)
            host("ip", "link", "add", "out0", "type", "veth", "peer", "name", "eth1", "netns", str(outside.pid))
            host("ip", "addr", "add", "192.0.2.1/24", "dev", "out0")
            host("ip", "link", "set", "out0", "up")
            outside.run("ip", "addr", "add", "192.0.2.2/24", "dev", "eth1")
            outside.run("ip", "link", "set", "eth1", "up")
            ping = ("busybox", "ping", "-c1", "-W2", "192.0.2.2")
            assert "1 packets received" in one.run(*ping)  # forwarded, and masqueraded: outside has no route back
            host("iptables", "-D", "FORWARD", "-j", "MINIDOCK-TEST")
            assert "1 packets received" not in one.run("busybox", "ping", "-c1", "-W1", "192.0.2.2")
        bridge.remove()
        assert "MINIDOCK-TEST" not in host("iptables-save")

    in_new_netns(body)


def test_a_fault_after_each_step_leaves_nothing(bridge: Bridge) -> None:
    def body() -> None:
        endpoint = bridge.allocate(ID)
        steps = 1
        while True:
            with Sleeper() as one:
                tracer = trace.Tracer("engine", trace.FaultPlan("engine", steps))
                before = trace.install(tracer)
                try:
                    bridge.join(endpoint, one.pid)
                    break
                except SystemFault:
                    trace.install(None)
                    assert not netlink.exists(endpoint.veth)
                    assert "eth0" not in one.run("ip", "link")
                finally:
                    trace.install(before)
            steps += 1
        assert steps > 4
        bridge.remove()

    in_new_netns(body)


def test_making_the_bridge_is_all_or_nothing(bridge: Bridge) -> None:
    def body() -> None:
        steps = 1
        while True:
            before = trace.install(trace.Tracer("engine", trace.FaultPlan("engine", steps)))
            try:
                bridge.ensure()
                break
            except (SystemFault, OSError):
                trace.install(None)
                assert not netlink.exists("md-test")
                assert "MINIDOCK-TEST" not in host("iptables-save")
            finally:
                trace.install(before)
            steps += 1
        assert steps > 6
        bridge.remove()

    in_new_netns(body)


def test_subnet_avoids_the_hosts_routes_and_is_remembered(bridge: Bridge) -> None:
    def body() -> None:
        host("ip", "link", "add", "d0", "type", "bridge")
        host("ip", "addr", "add", "172.29.7.1/24", "dev", "d0")
        host("ip", "link", "set", "d0", "up")
        first = bridge.ensure()
        assert str(first) == "172.28.0.1/16"
        bridge.remove()
        host("ip", "link", "del", "d0")
        assert bridge.ensure() == first
        bridge.remove()

    in_new_netns(body)


def test_same_address_twice_is_refused(bridge: Bridge) -> None:
    def body() -> None:
        endpoint = bridge.allocate(ID)
        with pytest.raises(Forbidden, match="Address already in use"):
            bridge.allocate("f" * 64, address=endpoint.address)
        bridge.release(ID)
        assert bridge.allocate("f" * 64, address=endpoint.address).address == endpoint.address
        bridge.remove()

    in_new_netns(body)


def test_join_a_process_that_is_gone(bridge: Bridge) -> None:
    def body() -> None:
        endpoint = bridge.allocate(ID)
        with Sleeper() as one:
            pid = one.pid
        with pytest.raises(SystemFault, match="join network bridge"):
            bridge.join(endpoint, pid)
        assert not netlink.exists(endpoint.veth)
        bridge.remove()

    in_new_netns(body)

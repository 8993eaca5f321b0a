"""hosts, resolv.conf, MAC addresses, rules: pure text."""

from __future__ import annotations

import pytest

from minidock.errors import InvalidParameter
from minidock.networkdriver import bridge, hosts, iptables, resolvconf


def test_hosts() -> None:
    """A container finds itself and its extra hosts by name."""
    text = hosts.text(address="172.29.0.2", hostname="web", domainname="example.org", extra=[("1.2.3.4", "db")])
    assert text.splitlines()[0] == "127.0.0.1\tlocalhost"
    assert text.splitlines()[-2:] == ["1.2.3.4\tdb", "172.29.0.2\tweb.example.org web"]
    assert "web" not in hosts.text(hostname="web")  # no address: no line


@pytest.mark.parametrize("entry", ["db", ":1.2.3.4", "db:", "db:x"])
def test_bad_add_host(entry: str) -> None:
    with pytest.raises(InvalidParameter, match="add-host"):
        hosts.parse_extra(entry)


def test_add_host_takes_ipv6() -> None:
    assert hosts.parse_extra("db:::1") == ("::1", "db")


HOST = [
    "# made by hand",
    "nameserver 127.0.0.53",
    "nameserver 10.0.0.1 # real",
    "search a.example b.example",
    "options ndots:2",
]


def test_resolv_conf_from_the_host() -> None:
    assert resolvconf.text(host=HOST) == "nameserver 10.0.0.1\nsearch a.example b.example\noptions ndots:2\n"
    assert "127.0.0.53" in resolvconf.text(host=HOST, own_namespace=False)


def test_resolv_conf_as_asked() -> None:
    text = resolvconf.text(dns=["9.9.9.9"], search=["."], options=["timeout:1"], host=HOST)
    assert text == "nameserver 9.9.9.9\noptions timeout:1\n"
    assert resolvconf.text(host=["nameserver ::1"]).startswith("nameserver 8.8.8.8\n")
    with pytest.raises(InvalidParameter, match="x is not an ip address"):
        resolvconf.check_server("x")


def test_mac() -> None:
    """The hardware address that docker derives, and wrong ones refused."""
    assert bridge.mac_for("172.17.0.2") == "02:42:ac:11:00:02"
    assert bridge.check_mac("02:42:AC:11:00:02") == "02:42:ac:11:00:02"
    for bad in ("", "02:42", "01:00:5e:00:00:01", "02:42:ac:11:00:zz", "0242ac110002"):
        with pytest.raises(InvalidParameter, match="not a valid mac address"):
            bridge.check_mac(bad)


def test_rules_without_icc_drop_between_containers() -> None:
    assert "-A C -i b -o b -j ACCEPT" in iptables.rules("C", "b", "10.0.0.0/8")
    assert "-A C -i b -o b -j DROP" in iptables.rules("C", "b", "10.0.0.0/8", icc=False)
    assert "MASQUERADE" not in iptables.rules("C", "b", "10.0.0.0/8", masquerade=False)

"""Faults in networkdriver/: rules, addresses, names."""

from __future__ import annotations

from tests.faults import Fault

RULES = "tests/linux/networkdriver/test_rules.py"
BRIDGE = "tests/linux/networkdriver/test_bridge.py"
TEXTS = "tests/unit/networkdriver/test_texts.py"
ADDRESSES = "tests/unit/networkdriver/test_ipallocator.py"

FAULTS = (
    Fault(
        "networkdriver/iptables.py",
        'f"-A {chain} -i {bridge} ! -o {bridge} -j ACCEPT"',
        'f"-A {chain} ! -o {bridge} -j ACCEPT"',
        RULES,
        "the machine forwards everybody's traffic, past its own firewall",
    ),
    Fault(
        "networkdriver/iptables.py",
        "-s {subnet} ! -o {bridge} -j MASQUERADE",
        "-s {subnet} -j MASQUERADE",
        RULES,
        "containers see each other under the host's address",
    ),
    Fault(
        "networkdriver/iptables.py",
        "-s {subnet} ! -o {bridge} -j MASQUERADE",
        "! -o {bridge} -j MASQUERADE",
        RULES,
        "all of the machine's traffic is masqueraded",
    ),
    Fault(
        "networkdriver/iptables.py",
        '--ctstate RELATED,ESTABLISHED -j ACCEPT",',
        '--ctstate NEW,RELATED,ESTABLISHED -j ACCEPT",',
        RULES,
        "everybody outside reaches every port of a container",
    ),
    Fault(
        "networkdriver/iptables.py",
        '_iptables("-I", hook, "-j", chain, table=table)',
        '_iptables("-A", hook, "-j", chain, table=table)',
        RULES,
        "behind a firewall's own DROP containers have no network",
    ),
    Fault(
        "networkdriver/iptables.py",
        "{'ACCEPT' if icc else 'DROP'}",
        "{'ACCEPT'}",
        TEXTS,
        "without icc containers still reach each other",
    ),
    Fault(
        "networkdriver/bridge.py",
        "                rtnl.set_mac(self.link, mac_for(str(interface.ip)))\n",
        "",
        RULES,
        "the gateway's MAC changes as containers come and go: connections hang",
    ),
    Fault(
        "networkdriver/bridge.py",
        '    if len(raw) != 6 or mac.count(":") != 5 or raw[0] & 1:',
        '    if len(raw) != 6 or mac.count(":") != 5:',
        TEXTS,
        "a multicast address is taken for a container's MAC",
    ),
    Fault(
        "networkdriver/bridge.py",
        "                undo.callback(_delete, rtnl, endpoint.veth)\n",
        "",
        BRIDGE,
        "a start that fails leaves a veth pair",
    ),
    Fault(
        "networkdriver/bridge.py",
        "        if not any(candidate.overlaps(route) for route in taken):\n",
        "        if candidate not in taken:\n",
        BRIDGE,
        "the bridge takes a subnet that the machine reaches elsewhere",
    ),
    Fault(
        "networkdriver/bridge.py",
        '"DELETE FROM addresses WHERE network = ? AND container = ?", self.name, container_id)',
        '"SELECT 1 FROM addresses WHERE network = ? AND container = ?", self.name, container_id)',
        BRIDGE,
        "addresses are never given back: a class's subnet runs out",
    ),
    Fault(
        "networkdriver/ipallocator.py",
        "        taken.add(str(self.gateway))\n",
        "",
        ADDRESSES,
        "a container gets the gateway's address, and nobody reaches the outside",
    ),
    Fault(
        "networkdriver/ipallocator.py",
        "int(self.subnet.broadcast_address) - 1",
        "int(self.subnet.broadcast_address)",
        ADDRESSES,
        "a container gets the broadcast address",
    ),
    Fault(
        "networkdriver/resolvconf.py",
        "if not own_namespace or not _loopback(w[0])]",
        "if w[0]]",
        TEXTS,
        "a container asks a resolver on its own loopback: each name takes a timeout",
    ),
    Fault(
        "networkdriver/hosts.py",
        "    if address and hostname:\n",
        "    if hostname:\n",
        TEXTS,
        "/etc/hosts has a line without an address",
    ),
)

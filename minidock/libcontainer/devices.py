"""Docker's devices, the one table: the nodes every container finds in /dev, and the rules of who may make and open what.

The rules are a list, of which the last that matches decides. Making a node is allowed for all numbers, because an image's files
may hold some; opening what was made is not. ``cgroups`` turns rules into lines (v1) or a BPF program (v2).

Sources: runc ``libcontainer/specconv`` (AllowedDevices: nodes and rules), moby 20.10 ``oci/defaults.go`` (what comes first is
that everything is denied).
"""

from __future__ import annotations

from minidock.libcontainer.config import Device, DeviceRule

NODES = (
    Device("/dev/null", "c", 1, 3),
    Device("/dev/zero", "c", 1, 5),
    Device("/dev/full", "c", 1, 7),
    Device("/dev/random", "c", 1, 8),
    Device("/dev/urandom", "c", 1, 9),
    Device("/dev/tty", "c", 5, 0),
)
RULES = (
    DeviceRule(False),
    DeviceRule(True, "c", access="m"),
    DeviceRule(True, "b", access="m"),
    *(DeviceRule(True, node.kind, node.major, node.minor) for node in NODES),
    DeviceRule(True, "c", 5, 1),  # console
    DeviceRule(True, "c", 136, -1),  # pts
    DeviceRule(True, "c", 5, 2),  # ptmx
    DeviceRule(True, "c", 10, 200),  # tun
)
ALL = (DeviceRule(True),)  # --privileged

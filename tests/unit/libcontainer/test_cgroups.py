"""What is read from mountinfo, what is computed, and what the device program answers."""

from __future__ import annotations

import struct

import pytest

from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import devices, v1
from minidock.libcontainer.cgroups.hierarchy import Hierarchy, parse_mountinfo, unified
from minidock.libcontainer.config import DeviceRule
from minidock.libcontainer.devices import ALL, RULES

# Lines of real machines: Debian 12 (v2), Ubuntu 18.04 (hybrid), and a hand-made one.
V2 = "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
HYBRID = """\
25 18 0:22 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
32 25 0:28 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
33 32 0:29 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup rw,nsdelegate
34 32 0:30 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd
37 32 0:33 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:15 - cgroup cgroup rw,cpu,cpuacct
38 32 0:34 / /sys/fs/cgroup/net_cls,net_prio rw,relatime shared:16 - cgroup cgroup rw,net_cls,net_prio
39 32 0:35 / /sys/fs/cgroup/cpuset rw,relatime shared:17 - cgroup cgroup rw,cpuset,clone_children
40 32 0:36 / /sys/fs/cgroup/memory rw,relatime shared:18 - cgroup cgroup rw,memory
"""


def test_v2_machine() -> None:
    """The places of control groups on a machine with version 2 alone."""
    assert parse_mountinfo(V2) == [Hierarchy(2, (), "/sys/fs/cgroup")]


def test_hybrid_machine() -> None:
    """The places of control groups on a machine with both versions."""
    assert parse_mountinfo(HYBRID) == [
        Hierarchy(2, (), "/sys/fs/cgroup/unified"),
        Hierarchy(1, ("name=systemd",), "/sys/fs/cgroup/systemd"),
        Hierarchy(1, ("cpu", "cpuacct"), "/sys/fs/cgroup/cpu,cpuacct"),
        Hierarchy(1, ("net_cls", "net_prio"), "/sys/fs/cgroup/net_cls,net_prio"),
        Hierarchy(1, ("cpuset",), "/sys/fs/cgroup/cpuset"),
        Hierarchy(1, ("memory",), "/sys/fs/cgroup/memory"),
    ]


def test_first_mount_of_a_hierarchy_counts_and_names_are_unescaped() -> None:
    line = "37 32 0:33 / {} rw - cgroup cgroup rw,freezer,release_agent=/x/cpu\n"
    assert parse_mountinfo(line.format(r"/mnt/a\040b\134c") + line.format("/other")) == [
        Hierarchy(1, ("freezer",), "/mnt/a b\\c")
    ]


def test_only_the_usual_controllers_make_a_v2_machine() -> None:
    hugetlb, full = Hierarchy(2, ("hugetlb",), "/u"), Hierarchy(2, ("cpuset", "cpu", "io", "memory", "pids"), "/c")
    assert unified([Hierarchy(1, ("memory",), "/m"), hugetlb]) is None
    assert unified([full]) is full


def test_v1_places_comounted_controllers_once_and_the_unified_tree_last() -> None:
    manager = v1.Manager("/minidock/x", parse_mountinfo(HYBRID))
    paths = manager.paths()
    assert paths["cpu"] == paths["cpuacct"] == "/sys/fs/cgroup/cpu,cpuacct/minidock/x"
    assert paths["name=systemd"] == "/sys/fs/cgroup/systemd/minidock/x"
    assert paths[""] == "/sys/fs/cgroup/unified/minidock/x"
    assert "freezer" not in paths


@pytest.mark.parametrize(
    ("total_mib", "ceiling_mib"),
    [
        (24576, 24576 - 24576 * 15 // 100),  # 15 % is more than 1 GiB
        (4096, 3072),  # 1 GiB is more than 15 %
        (1536, 768),  # never below half
    ],
)
def test_memory_ceiling(total_mib: int, ceiling_mib: int) -> None:
    """Something is left for the machine, however large it is."""
    text = f"MemTotal:       {total_mib * 1024} kB\nMemFree:        1 kB\n"
    assert cgroups.memory_ceiling(text) // (1 << 20) == pytest.approx(ceiling_mib, abs=1)


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (DeviceRule(True), "a *:* rwm"),
        (DeviceRule(True, "c", 1, 3), "c 1:3 rwm"),
        (DeviceRule(False, "b", -1, -1, "m"), "b *:* m"),
        (DeviceRule(True, "c", 136, -1, "rw"), "c 136:* rw"),
    ],
)
def test_device_line(rule: DeviceRule, line: str) -> None:
    """A device rule in the kernel's own words."""
    assert v1.device_line(rule) == line


def asks(rules: tuple[DeviceRule, ...], kind: str, major: int, minor: int, access: str) -> bool:
    """Run the program for `rules` on one question, as the kernel would (bpf instruction-set.rst; 12 bytes of context)."""
    wanted = sum({"m": 1, "r": 2, "w": 4}[a] for a in access) << 16 | {"b": 1, "c": 2}[kind]
    context = struct.pack("=III", wanted, major, minor)
    code = list(struct.iter_unpack("<BBhi", devices.program(rules)))
    registers = [0] * 11
    position = 0
    while True:
        op, operands, offset, immediate = code[position]
        target, source = operands & 15, operands >> 4
        position += 1
        if op == 0x61:
            registers[target] = struct.unpack_from("=I", context, offset)[0]
        elif op == 0xB4:
            registers[target] = immediate
        elif op == 0xBC:
            registers[target] = registers[source]
        elif op == 0x54:
            registers[target] &= immediate
        elif op == 0x74:
            registers[target] >>= immediate
        elif op == 0x15:
            position += offset if registers[target] == immediate else 0
        elif op == 0x55:
            position += offset if registers[target] != immediate else 0
        else:
            assert op == 0x95
            return registers[0] == 1


@pytest.mark.parametrize(
    ("kind", "major", "minor", "access", "allowed"),
    [
        ("c", 1, 3, "r", True),
        ("c", 1, 3, "rw", True),
        ("c", 1, 1, "r", False),  # /dev/mem
        ("c", 1, 1, "m", True),
        ("b", 8, 0, "m", True),
        ("b", 8, 0, "r", False),
        ("b", 1, 3, "r", False),  # null's numbers, but a block device
        ("c", 136, 7, "rw", True),
        ("c", 4, 64, "rw", False),
        ("c", 10, 200, "rw", True),  # tun
        ("c", 10, 229, "rw", False),  # fuse
    ],
)
def test_device_program_of_the_default_list(kind: str, major: int, minor: int, access: str, allowed: bool) -> None:
    assert asks(RULES, kind, major, minor, access) == allowed


def test_device_program_the_last_rule_decides() -> None:
    assert asks(ALL, "b", 8, 0, "rwm")
    but_one = (*ALL, DeviceRule(False, "c", 1, 3, "w"))
    assert [asks(but_one, "c", 1, 3, a) for a in ("r", "w", "rw")] == [True, False, False]
    to_make = (DeviceRule(True, "b", -1, -1, "m"),)
    assert [asks(to_make, "b", 8, 0, a) for a in ("m", "r", "rm", "w", "rwm")] == [True, False, False, False, False]
    assert asks((DeviceRule(False), DeviceRule(True, "c", 1, 3)), "c", 1, 3, "r")
    assert not asks((DeviceRule(True, "c", 1, 3), DeviceRule(False)), "c", 1, 3, "r")

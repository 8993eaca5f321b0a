"""What a default container may see and do, against docker's own lists, written out: no table of ours is compared with itself.

Sources: moby ``daemon/pkg/oci/defaults.go`` and ``oci/devices.go`` of Docker 28, runc ``libcontainer/specconv/spec_linux.go``
(AllowedDevices).
"""

from __future__ import annotations

from minidock.libcontainer.config import DeviceRule
from tests.unit.daemon.test_spec import build, options

# As `devices.list` of a container of Docker 20.10 with runc 1.1 reads on cgroup v1 (tun went with runc 1.2).
DEVICES = {
    *("c *:* m", "b *:* m"),
    *("c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm"),
    *("c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm", "c 10:200 rwm"),
}
MASKED = {
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"),
    *("/sys/devices/virtual/powercap", "/sys/firmware"),
}
READ_ONLY = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
NODES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


def line(rule: DeviceRule) -> str:
    major, minor = ("*" if number < 0 else number for number in (rule.major, rule.minor))
    return f"{rule.kind} {major}:{minor} {rule.access}"


def test_devices_that_may_be_opened_and_made() -> None:
    cgroup = build().cgroup
    assert cgroup is not None
    first, *allowed = cgroup.devices
    assert first == DeviceRule(False, "a", -1, -1, "rwm"), "everything is denied first"
    assert all(rule.allow for rule in allowed)
    assert {line(rule) for rule in allowed} == DEVICES and len(allowed) == len(DEVICES)


def test_nodes_in_dev() -> None:
    assert {d.path: (d.kind, d.major, d.minor, d.mode) for d in build().devices} == {
        f"/dev/{name}": ("c", *numbers, 0o666) for name, numbers in NODES.items()
    }


def test_hidden_and_read_only_paths() -> None:
    """All of them, also those that this machine's kernel has not."""
    config = build()
    assert set(config.masked_paths) == MASKED
    assert set(config.readonly_paths) == READ_ONLY
    assert not config.readonly_root


def test_mounts_and_their_flags_are_dockers() -> None:
    config = build()
    assert [mount.target for mount in config.mounts][:7] == [
        *("/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"),
    ]
    assert options(config, "/proc") == ("nosuid", "noexec", "nodev")
    assert options(config, "/dev") == ("nosuid", "strictatime", "mode=755", "size=65536k")
    assert options(config, "/dev/pts") == ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")
    assert options(config, "/sys") == options(config, "/sys/fs/cgroup") == ("nosuid", "noexec", "nodev", "ro")
    assert options(config, "/dev/mqueue") == ("nosuid", "noexec", "nodev")
    assert options(config, "/dev/shm") == ("nosuid", "noexec", "nodev", "mode=1777", "size=67108864")


def test_where_a_command_is_looked_for() -> None:
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert build().process.env == (path, "HOSTNAME=box")

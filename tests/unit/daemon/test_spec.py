"""docker's options as libcontainer's config: the pure half of a start."""

from __future__ import annotations

from typing import Any

import pytest

from minidock.daemon.request import spec
from minidock.daemon.request.merge import merge
from minidock.daemon.request.parse import complete
from minidock.libcontainer.config import Capabilities, Config, DeviceRule, IdMap, RootMount

# moby's daemon/pkg/oci/defaults.go, written down here once more: a test that reads our own table would see no fault in it.
MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
    "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
# Nothing; making nodes of every kind; null, zero, full, random, urandom, tty; console, pts, ptmx; tun.
DEVICES = (
    DeviceRule(False), DeviceRule(True, "c", access="m"), DeviceRule(True, "b", access="m"),
    *(DeviceRule(True, "c", 1, minor, "rwm") for minor in (3, 5, 7, 8, 9)), DeviceRule(True, "c", 5, 0, "rwm"),
    DeviceRule(True, "c", 5, 1, "rwm"), DeviceRule(True, "c", 136, -1, "rwm"), DeviceRule(True, "c", 5, 2, "rwm"),
    DeviceRule(True, "c", 10, 200, "rwm"),
)  # fmt: skip


def build(config: dict[str, Any] | None = None, host: dict[str, Any] | None = None, **facts: Any) -> Config:
    merged = merge({"Cmd": ["true"], "Hostname": "box", **(config or {})}, {})
    record = {
        "ID": "f" * 64, "Path": "true", "Args": [], "Config": merged, "HostConfig": complete(dict(host or {})),
        "MountPoints": facts.pop("points", []),
    }  # fmt: skip
    return spec.build(record, spec.Facts(RootMount("bind", source="/r"), Capabilities(), "/minidock/f", **facts))


def options(config: Config, target: str) -> tuple[str, ...]:
    (found,) = (mount.options for mount in config.mounts if mount.target == target)
    return found


def test_a_default_container_is_dockers() -> None:
    config = build()
    assert (config.namespaces.pid, config.namespaces.net, config.namespaces.user) == ("new", "new", "host")
    assert config.masked_paths == MASKED
    assert config.readonly_paths == READ_ONLY
    assert config.process.env == ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box")
    assert "ro" in options(config, "/sys")
    assert "size=67108864" in options(config, "/dev/shm")
    assert config.cgroup is not None
    assert config.cgroup.devices == DEVICES
    assert [(node.path, node.kind, node.major, node.minor, node.mode, node.host_path) for node in config.devices] == [
        ("/dev/null", "c", 1, 3, 0o666, ""), ("/dev/zero", "c", 1, 5, 0o666, ""), ("/dev/full", "c", 1, 7, 0o666, ""),
        ("/dev/random", "c", 1, 8, 0o666, ""), ("/dev/urandom", "c", 1, 9, 0o666, ""), ("/dev/tty", "c", 5, 0, 0o666, ""),
    ]  # fmt: skip
    assert not config.process.no_new_privileges


def test_privileged_lifts_all_of_it() -> None:
    config = build(host={"Privileged": True})
    assert config.masked_paths == config.readonly_paths == ()
    assert "ro" not in options(config, "/sys")
    assert config.cgroup is not None
    assert config.cgroup.devices == (DeviceRule(True),)


@pytest.mark.parametrize(
    ("host", "facts", "space", "value"),
    [
        ({"PidMode": "host"}, {}, "pid", "host"),
        ({"NetworkMode": "host"}, {}, "net", "host"),
        ({"NetworkMode": "container:x"}, {"joined": (("net", 7),)}, "net", "/proc/7/ns/net"),
        ({"IpcMode": "container:x"}, {"joined": (("ipc", 7),)}, "ipc", "/proc/7/ns/ipc"),
        ({"UTSMode": "host"}, {}, "uts", "host"),
        ({}, {"cgroup_version": 2}, "cgroup", "new"),
        ({}, {"cgroup_version": 1}, "cgroup", "host"),
        ({"CgroupnsMode": "private"}, {"cgroup_version": 1}, "cgroup", "new"),
        ({}, {"uid_map": (IdMap(0, 1, 2),)}, "user", "new"),
    ],
)
def test_namespaces(host: dict[str, Any], facts: dict[str, Any], space: str, value: str) -> None:
    """Each mode shares the namespace that it says, and no other is shared by accident."""
    assert getattr(build(host=host, **facts).namespaces, space) == value


def test_sysctls_of_an_own_network() -> None:
    low, ping = ("net.ipv4.ip_unprivileged_port_start", "0"), ("net.ipv4.ping_group_range", "0 2147483647")
    assert build().sysctl == (low, ping)
    assert build(uid_map=(IdMap(0, 1, 2),)).sysctl == (low,)
    assert build(host={"NetworkMode": "host"}).sysctl == ()
    assert build(host={"Sysctls": {low[0]: "80"}}).sysctl == ((low[0], "80"), ping)


def test_system_paths_and_terminal() -> None:
    config = build({"Tty": True, "Env": ["PATH=/x", "TERM"]}, {"SecurityOpt": ["systempaths=unconfined"]})
    assert config.masked_paths == ()
    assert config.process.env == ("PATH=/x", "HOSTNAME=box")
    assert build({"Tty": True}).process.env[-1] == "TERM=xterm"


def test_shared_memory_follows_the_ipc_namespace() -> None:
    shared = build(host={"IpcMode": "container:x"}, joined=(("ipc", 7),))
    assert [m.source for m in shared.mounts if m.target == "/dev/shm"] == ["/proc/7/root/dev/shm"]
    assert not [m for m in build(host={"IpcMode": "none"}).mounts if m.target == "/dev/shm"]
    assert "size=1024" in options(build(host={"ShmSize": 1024}), "/dev/shm")


def test_a_users_mount_takes_the_place_of_a_default() -> None:
    from minidock.daemon.request.mounts import parse_bind

    config = build(points=[parse_bind("/x:/dev/shm:ro").record()])
    (shm,) = (m for m in config.mounts if m.target == "/dev/shm")
    assert (shm.source, shm.options) == ("/x", ("rbind", "ro"))

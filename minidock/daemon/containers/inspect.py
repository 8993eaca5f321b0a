"""``inspect``: all that is known of a container, in the shape of Engine API 1.41."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidock.daemon.base.verb import verb
from minidock.daemon.containers.sizes import sizes
from minidock.daemon.record import execs, network
from minidock.daemon.record.container import Container
from minidock.daemon.record.names import lookup
from minidock.daemon.request import defaults
from minidock.daemon.request.mounts import MountPoint
from minidock.daemon.request.security_opt import parse
from minidock.daemon.request.spec import paths_of

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def inspect(engine: Engine, ref: str, size: bool = False) -> dict[str, Any]:
    """Everything about one container; with `size` also SizeRw and SizeRootFs in bytes. Raises ContainerNotFound."""
    container = lookup(engine, ref)
    with container.reading():
        return everything(engine, container, size)


def everything(engine: Engine, container: Container, size: bool) -> dict[str, Any]:
    """The answer."""
    record, state, id = container.record, container.state(), container.id
    found = sizes(engine, container) if size else {}
    folder = container.directory
    networked = state.run > 0
    return {
        "Id": id,
        "Created": record["Created"],
        "Path": record["Path"],
        "Args": record["Args"],
        "State": state.api(),
        "Image": record["Image"],
        "ResolvConfPath": str(folder / "resolv.conf") if networked else "",
        "HostnamePath": str(folder / "hostname") if networked else "",
        "HostsPath": str(folder / "hosts") if networked else "",
        "LogPath": container.log_path if networked else "",
        "Name": f"/{container.name}",
        "RestartCount": record["RestartCount"],
        "Driver": record["Driver"],
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": parse(container.host_config.get("SecurityOpt") or ()).apparmor,
        "ExecIDs": [exec.id for exec in execs.of_container(engine, id) if execs.running(engine, exec)] or None,
        "HostConfig": host_config(container),
        "GraphDriver": {"Name": record["Driver"], "Data": engine.layers.metadata(id)},
        **found,
        "Mounts": [p.api() for p in map(MountPoint.from_record, record["MountPoints"]) if p.listed],
        "Config": container.config,
        "NetworkSettings": network.shown(engine, container, state.running),
    }


_HOST_CONFIG: dict[str, Any] = {
    "Binds": None,
    "ContainerIDFile": "",
    "PortBindings": {},
    "AutoRemove": False,
    "VolumeDriver": "",
    "VolumesFrom": None,
    "CapAdd": None,
    "CapDrop": None,
    "CgroupnsMode": "",
    "Dns": [],
    "DnsOptions": [],
    "DnsSearch": [],
    "ExtraHosts": None,
    "GroupAdd": None,
    "Cgroup": "",
    "Links": None,
    "OomScoreAdj": 0,
    "PidMode": "",
    "Privileged": False,
    "PublishAllPorts": False,
    "ReadonlyRootfs": False,
    "SecurityOpt": None,
    "UTSMode": "",
    "UsernsMode": "",
    "ConsoleSize": [0, 0],
    "Isolation": "",
    "CpuShares": 0,
    "Memory": 0,
    "NanoCpus": 0,
    "CgroupParent": "",
    "BlkioWeight": 0,
    "BlkioWeightDevice": [],
    "BlkioDeviceReadBps": None,
    "BlkioDeviceWriteBps": None,
    "BlkioDeviceReadIOps": None,
    "BlkioDeviceWriteIOps": None,
    "CpuPeriod": 0,
    "CpuQuota": 0,
    "CpuRealtimePeriod": 0,
    "CpuRealtimeRuntime": 0,
    "CpusetCpus": "",
    "CpusetMems": "",
    "Devices": [],
    "DeviceCgroupRules": None,
    "DeviceRequests": None,
    "KernelMemory": 0,
    "KernelMemoryTCP": 0,
    "MemoryReservation": 0,
    "MemorySwap": 0,
    "MemorySwappiness": None,
    "OomKillDisable": False,
    "PidsLimit": None,
    "Ulimits": None,
    "CpuCount": 0,
    "CpuPercent": 0,
    "IOMaximumIOps": 0,
    "IOMaximumBandwidth": 0,
    "Runtime": "native",
}


def host_config(container: Container) -> dict[str, Any]:
    """HostConfig with every field that docker shows, and the paths that are in force."""
    host = container.host_config
    security = parse(host.get("SecurityOpt") or ())
    privileged = bool(host.get("Privileged"))
    return {
        **_HOST_CONFIG,
        **host,
        "MaskedPaths": list(paths_of(host, "MaskedPaths", defaults.MASKED_PATHS, privileged, security)),
        "ReadonlyPaths": list(paths_of(host, "ReadonlyPaths", defaults.READONLY_PATHS, privileged, security)),
    }

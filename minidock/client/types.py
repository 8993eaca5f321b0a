"""docker.types, ours: the dicts that docker-py's API takes and makes (`HostConfig`, `Mount`, `Ulimit`, `LogConfig`, …).

All of them are dicts in the Engine API's spelling, so they go to the engine as they are. The keyword forms are translated by
`convert`. `HOST_CONFIG` is the whole of ``create_host_config``: one row a keyword. Source: docker-py 7 ``docker.types``.
"""

# ruff: noqa: ARG002 — docker-py's signatures, with arguments that mean nothing without HTTP, swarm or old API versions
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

from minidock.client import convert
from minidock.errors import InvalidArgument


class LogConfigTypes:
    """The log drivers docker-py names. minidock has json-file and none."""

    JSON, SYSLOG, JOURNALD, GELF, FLUENTD, NONE = "json-file", "syslog", "journald", "gelf", "fluentd", "none"


def _either(kwargs: Mapping[str, Any], name: str, key: str) -> Any:
    """A value given as docker-py's keyword or in the Engine API's spelling."""
    return kwargs.get(name, kwargs.get(key))


class LogConfig(dict[str, Any]):
    """``log_config=``: the driver's `type` and its `config` ({"max-size": "1m", "max-file": "3"})."""

    types: ClassVar[type[LogConfigTypes]] = LogConfigTypes

    def __init__(self, **kwargs: Any) -> None:
        config = _either(kwargs, "config", "Config") or {}
        if not isinstance(config, dict):
            raise ValueError("LogConfig.config must be a dictionary")
        super().__init__(Type=_either(kwargs, "type", "Type"), Config=config)

    @property
    def type(self) -> Any:
        """The driver's name."""
        return self["Type"]

    @property
    def config(self) -> dict[str, Any]:
        """The driver's options."""
        return self["Config"]  # type: ignore[no-any-return]

    def set_config_value(self, key: str, value: Any) -> None:
        """Set the option `key` to `value`."""
        self.config[key] = value

    def unset_config(self, key: str) -> None:
        """Take the option `key` away, if it is there."""
        self.config.pop(key, None)


class Ulimit(dict[str, Any]):
    """One of ``ulimits=``: `name` as in limits.conf(5) ("nofile"), `soft` and `hard` as setrlimit(2) takes them."""

    def __init__(self, **kwargs: Any) -> None:
        name, soft, hard = _either(kwargs, "name", "Name"), _either(kwargs, "soft", "Soft"), _either(kwargs, "hard", "Hard")
        if not isinstance(name, str):
            raise ValueError("Ulimit.name must be a string")
        for which, limit in (("soft", soft), ("hard", hard)):
            if limit and not isinstance(limit, int):
                raise ValueError(f"Ulimit.{which} must be an integer")
        super().__init__(Name=name, Soft=soft, Hard=hard)

    @property
    def name(self) -> str:
        """The resource's name."""
        return self["Name"]  # type: ignore[no-any-return]

    @property
    def soft(self) -> int | None:
        """The limit in force."""
        return self["Soft"]  # type: ignore[no-any-return]

    @property
    def hard(self) -> int | None:
        """The ceiling of the soft limit."""
        return self["Hard"]  # type: ignore[no-any-return]


class DeviceRequest(dict[str, Any]):
    """One of ``device_requests=`` (GPUs): passed on as it is; the engine says that it has no such driver."""

    FIELDS: ClassVar[dict[str, tuple[str, type]]] = {
        "driver": ("Driver", str),
        "count": ("Count", int),
        "device_ids": ("DeviceIDs", list),
        "capabilities": ("Capabilities", list),
        "options": ("Options", dict),
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        for name, (key, kind) in self.FIELDS.items():
            value = _either(kwargs, name, key)
            if value is not None and not isinstance(value, kind):
                raise ValueError(f"DeviceRequest.{name} must be a {kind.__name__}")
            self[key] = kind() if value is None else value


class Healthcheck(dict[str, Any]):
    """``healthcheck=``: `test` (a string runs in a shell), `interval`, `timeout` and `start_period` in ns, `retries`."""

    def __init__(self, **kwargs: Any) -> None:
        test = _either(kwargs, "test", "Test")
        super().__init__(
            Test=["CMD-SHELL", test] if isinstance(test, str) else test,
            Interval=_either(kwargs, "interval", "Interval"),
            Timeout=_either(kwargs, "timeout", "Timeout"),
            Retries=_either(kwargs, "retries", "Retries"),
            StartPeriod=_either(kwargs, "start_period", "StartPeriod"),
        )


class Mount(dict[str, Any]):
    """One of ``mounts=``: what ``--mount`` says.

    `type` is bind, volume or tmpfs; `source` a host path or a volume's name. `propagation` belongs to bind; `no_copy`,
    `labels`, `driver_config`, `subpath` to volume; `tmpfs_size` (bytes or "64m") and `tmpfs_mode` to tmpfs. Raises
    InvalidArgument when they are mixed.
    """

    def __init__(
        self,
        target: str,
        source: str | None,
        type: str = "volume",
        read_only: bool = False,
        consistency: str | None = None,
        propagation: str | None = None,
        no_copy: bool = False,
        labels: dict[str, str] | None = None,
        driver_config: dict[str, Any] | None = None,
        tmpfs_size: int | str | None = None,
        tmpfs_mode: int | None = None,
        subpath: str | None = None,
    ) -> None:
        if type not in ("bind", "volume", "tmpfs", "npipe"):
            raise InvalidArgument(f'Unsupported mount type: "{type}"')
        super().__init__(Target=target, Source=source, Type=type, ReadOnly=read_only)
        if consistency:
            self["Consistency"] = consistency
        volume = {"NoCopy": no_copy, "Labels": labels, "DriverConfig": driver_config, "Subpath": subpath}
        tmpfs = {"Mode": tmpfs_mode, "SizeBytes": tmpfs_size}
        foreign: dict[str, list[Any]] = {
            "bind": [*volume.values(), *tmpfs.values()],
            "volume": [propagation, *tmpfs.values()],
            "tmpfs": [propagation, no_copy, labels, driver_config],
        }
        if any(foreign.get(type, ())):
            raise InvalidArgument(f"Incompatible options have been provided for the {type} type mount.")
        if type == "bind" and propagation is not None:
            self["BindOptions"] = {"Propagation": propagation}
        elif type == "volume" and any(volume.values()):
            self["VolumeOptions"] = {key: value for key, value in volume.items() if value}
        elif type == "tmpfs" and any(tmpfs.values()):
            if tmpfs_mode and not isinstance(tmpfs_mode, int):
                raise InvalidArgument("tmpfs_mode must be an integer")
            if tmpfs_size:
                tmpfs["SizeBytes"] = int(convert.parse_bytes(tmpfs_size))
            self["TmpfsOptions"] = {key: value for key, value in tmpfs.items() if value}

    @classmethod
    def parse_mount_string(cls, string: str) -> Mount:
        """`string` is ``"SOURCE:TARGET[:ro]"``, or a lone ``"TARGET"``. Raises InvalidArgument for more parts."""
        parts = string.split(":")
        if len(parts) > 3:
            raise InvalidArgument(f'Invalid mount format "{string}"')
        if len(parts) == 1:
            return cls(target=parts[0], source=None)
        source, target, mode = [*parts, "rw"][:3]
        return cls(target, source, type="bind" if source.startswith("/") else "volume", read_only=mode == "ro")


class EndpointConfig(dict[str, Any]):
    """How a container is to sit in one network: aliases, links, addresses."""

    def __init__(
        self,
        version: str = "",
        aliases: list[str] | None = None,
        links: Mapping[str, str | None] | None = None,
        ipv4_address: str | None = None,
        ipv6_address: str | None = None,
        link_local_ips: list[str] | None = None,
        driver_opt: dict[str, Any] | None = None,
        mac_address: str | None = None,
    ) -> None:
        super().__init__()
        if driver_opt and not isinstance(driver_opt, dict):
            raise TypeError("driver_opt must be a dictionary")
        ipam = {
            "IPv4Address": ipv4_address or None,
            "IPv6Address": ipv6_address or None,
            "LinkLocalIPs": link_local_ips,
        }
        fields = {
            "Aliases": aliases,
            "Links": convert.links(links) if links else None,
            "MacAddress": mac_address,
            "IPAMConfig": {key: value for key, value in ipam.items() if value is not None},
            "DriverOpts": driver_opt,
        }
        self.update({key: value for key, value in fields.items() if value})


class NetworkingConfig(dict[str, Any]):
    """``networking_config=``: network name → `EndpointConfig`."""

    def __init__(self, endpoints_config: Mapping[str, Any] | None = None) -> None:
        super().__init__({"EndpointsConfig": endpoints_config} if endpoints_config else {})


class _Option(NamedTuple):
    """One keyword of `HostConfig`: the key it becomes, the type it must have, its conversion, and whether 0 and "" count."""

    key: str
    kind: type | None = None
    convert: Callable[[Any], Any] | None = None
    falsy: bool = False


def _only_host(name: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value != "host":
            raise ValueError(f"Invalid value for {name} param: {value}")
        return value

    return check


def _log_config(value: Any) -> LogConfig:
    return value if isinstance(value, LogConfig) else LogConfig(**value)


HOST_CONFIG: dict[str, _Option] = {
    # limits
    "mem_limit": _Option("Memory", convert=convert.parse_bytes, falsy=True),
    "memswap_limit": _Option("MemorySwap", convert=convert.parse_bytes, falsy=True),
    "mem_reservation": _Option("MemoryReservation", convert=convert.parse_bytes),
    "kernel_memory": _Option("KernelMemory", convert=convert.parse_bytes),
    "mem_swappiness": _Option("MemorySwappiness", int, falsy=True),
    "oom_kill_disable": _Option("OomKillDisable"),
    "oom_score_adj": _Option("OomScoreAdj", int),
    "cpu_shares": _Option("CpuShares", int),
    "cpu_quota": _Option("CpuQuota", int),
    "cpu_period": _Option("CpuPeriod", int),
    "cpu_count": _Option("CpuCount", int),
    "cpu_percent": _Option("CpuPercent", int),
    "nano_cpus": _Option("NanoCpus", int),
    "cpu_rt_period": _Option("CPURealtimePeriod", int),
    "cpu_rt_runtime": _Option("CPURealtimeRuntime", int),
    "cpuset_cpus": _Option("CpusetCpus"),
    "cpuset_mems": _Option("CpusetMems", str),
    "blkio_weight": _Option("BlkioWeight", int),
    "blkio_weight_device": _Option("BlkioWeightDevice", list),
    "device_read_bps": _Option("BlkioDeviceReadBps", list),
    "device_write_bps": _Option("BlkioDeviceWriteBps", list),
    "device_read_iops": _Option("BlkioDeviceReadIOps", list),
    "device_write_iops": _Option("BlkioDeviceWriteIOps", list),
    "pids_limit": _Option("PidsLimit", int),
    "shm_size": _Option("ShmSize", convert=convert.parse_bytes, falsy=True),
    "ulimits": _Option("Ulimits", list, lambda v: [u if isinstance(u, Ulimit) else Ulimit(**u) for u in v], falsy=True),
    "sysctls": _Option("Sysctls", dict, lambda v: {name: str(value) for name, value in v.items()}),
    "cgroup_parent": _Option("CgroupParent", falsy=True),
    # namespaces
    "pid_mode": _Option("PidMode"),
    "ipc_mode": _Option("IpcMode"),
    "uts_mode": _Option("UTSMode", convert=_only_host("uts_mode")),
    "userns_mode": _Option("UsernsMode", convert=_only_host("userns_mode")),
    "cgroupns": _Option("CgroupnsMode"),
    # security
    "privileged": _Option("Privileged"),
    "read_only": _Option("ReadonlyRootfs", falsy=True),
    "cap_add": _Option("CapAdd"),
    "cap_drop": _Option("CapDrop"),
    "security_opt": _Option("SecurityOpt", list, falsy=True),
    "group_add": _Option("GroupAdd", convert=lambda v: [str(group) for group in v]),
    "devices": _Option("Devices", convert=convert.devices),
    "device_cgroup_rules": _Option("DeviceCgroupRules", list, falsy=True),
    "device_requests": _Option(
        "DeviceRequests", list, lambda v: [d if isinstance(d, DeviceRequest) else DeviceRequest(**d) for d in v], falsy=True
    ),
    # files
    "binds": _Option("Binds", convert=convert.binds, falsy=True),
    "mounts": _Option("Mounts", falsy=True),
    "tmpfs": _Option("Tmpfs", convert=convert.tmpfs_mounts),
    "volumes_from": _Option("VolumesFrom", convert=lambda v: v.split(",") if isinstance(v, str) else v, falsy=True),
    "volume_driver": _Option("VolumeDriver", falsy=True),
    "storage_opt": _Option("StorageOpt", falsy=True),
    # network
    "port_bindings": _Option("PortBindings", convert=convert.port_bindings, falsy=True),
    "publish_all_ports": _Option("PublishAllPorts"),
    "links": _Option("Links", convert=convert.links, falsy=True),
    "dns": _Option("Dns", falsy=True),
    "dns_opt": _Option("DnsOptions", falsy=True),
    "dns_search": _Option("DnsSearch"),
    "extra_hosts": _Option("ExtraHosts", convert=convert.extra_hosts, falsy=True),
    # life
    "restart_policy": _Option("RestartPolicy", dict),
    "auto_remove": _Option("AutoRemove"),
    "init": _Option("Init", falsy=True),
    "log_config": _Option("LogConfig", dict, _log_config, falsy=True),
    "runtime": _Option("Runtime"),
    "isolation": _Option("Isolation", str),
}
# Keywords docker-py knows and the Engine API does not any more: lxc left with Docker 1.10, init_path with API 1.29.
GONE = {"lxc_conf": "LXC was removed in Docker 1.10", "init_path": "param is not supported in API versions > 1.29"}


class HostConfig(dict[str, Any]):
    """``host_config=``: everything of a container that belongs to the host, from docker-py's keywords (see `HOST_CONFIG`).

    Raises TypeError for an unknown keyword or a wrong type, ValueError and InvalidArgument for a value that cannot be.
    """

    def __init__(self, version: str = "", network_mode: str | None = None, **options: Any) -> None:
        super().__init__()
        for name, value in options.items():
            if name in GONE and value is not None:
                raise InvalidArgument(f"{name}: {GONE[name]}")
            if name not in HOST_CONFIG and name not in GONE:
                raise TypeError(f"HostConfig() got an unexpected keyword argument '{name}'")
            if value is not None and name in HOST_CONFIG:
                self._set(name, HOST_CONFIG[name], value)
        if network_mode == "host" and options.get("port_bindings"):
            raise InvalidArgument('"host" network_mode is incompatible with port_bindings')
        self["NetworkMode"] = network_mode or "default"

    def _set(self, name: str, option: _Option, value: Any) -> None:
        if not value and not option.falsy:
            return
        if option.kind is not None and not isinstance(value, option.kind):
            expected = "LogConfig" if name == "log_config" else option.kind.__name__
            raise TypeError(f"Invalid type for {name} param: expected {expected} but found {type(value)}")
        self[option.key] = option.convert(value) if option.convert else value


class ContainerConfig(dict[str, Any]):
    """The body of ``POST /containers/create``: what belongs to the container alone, and HostConfig and NetworkingConfig."""

    def __init__(
        self,
        version: str,
        image: str,
        command: str | list[str] | None,
        hostname: str | None = None,
        user: str | int | None = None,
        detach: bool = False,
        stdin_open: bool = False,
        tty: bool = False,
        ports: Any = None,
        environment: Any = None,
        volumes: Any = None,
        network_disabled: bool = False,
        entrypoint: str | list[str] | None = None,
        working_dir: str | None = None,
        domainname: str | None = None,
        host_config: Mapping[str, Any] | None = None,
        mac_address: str | None = None,
        labels: Any = None,
        stop_signal: str | None = None,
        networking_config: Mapping[str, Any] | None = None,
        healthcheck: Mapping[str, Any] | None = None,
        stop_timeout: int | None = None,
        runtime: str | None = None,
    ) -> None:
        super().__init__(
            Hostname=hostname,
            Domainname=domainname,
            ExposedPorts=convert.exposed_ports(ports),
            User=None if user is None else str(user),
            Tty=tty,
            OpenStdin=stdin_open,
            StdinOnce=stdin_open and not detach,
            AttachStdin=stdin_open and not detach,
            AttachStdout=not detach,
            AttachStderr=not detach,
            Env=convert.environment_list(environment),
            Cmd=convert.command_list(command),
            Image=image,
            Volumes=convert.volume_dict(volumes),
            NetworkDisabled=network_disabled,
            Entrypoint=convert.command_list(entrypoint),
            WorkingDir=working_dir,
            HostConfig=host_config,
            NetworkingConfig=networking_config,
            MacAddress=mac_address,
            Labels=convert.label_dict(labels),
            StopSignal=stop_signal,
            Healthcheck=Healthcheck(**healthcheck) if healthcheck else None,
            StopTimeout=stop_timeout,
            Runtime=runtime,
        )

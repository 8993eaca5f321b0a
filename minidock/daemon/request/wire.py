"""The shapes of a request as they come and as they are kept: Engine API 1.41, ``POST /containers/create`` and its kin.

For mypy alone: nothing here is loaded when a command runs. A field may be missing from any of them, and a number 0 or an
empty text or list says as little as a missing field, except where ``None`` is among a field's values: there 0 counts.
`ConfigRequest` is what a client may send, `ContainerConfig` what is left when it was merged with the image's. `Record` is
config.json: with it a request is carried to later commands. Fields that only ``inspect`` hands on are kept, and not named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict


class Healthcheck(TypedDict, total=False):
    """``HealthConfig``; times in ns. Kept and shown, not yet executed."""

    Test: list[str] | None
    Interval: int | None
    Timeout: int | None
    Retries: int | None
    StartPeriod: int | None


class _Config(TypedDict, total=False):
    """What of ``ContainerConfig`` has one form only."""

    Hostname: str
    Domainname: str
    User: str
    AttachStdin: bool
    AttachStdout: bool
    AttachStderr: bool
    Tty: bool
    OpenStdin: bool
    StdinOnce: bool
    Image: str
    WorkingDir: str
    StopSignal: str
    StopTimeout: int | None  # seconds; -1: without end
    Healthcheck: Healthcheck
    Shell: list[str]
    OnBuild: list[str] | None
    MacAddress: str
    NetworkDisabled: bool


class ConfigRequest(_Config, total=False):
    """``ContainerConfig`` as a client or an image's file may have it: a command in one text, names as a list or as keys."""

    Env: list[str] | dict[str, str] | None
    Cmd: str | list[str] | None
    Entrypoint: str | list[str] | None
    Labels: dict[str, str] | list[str] | None
    Volumes: dict[str, dict[str, str]] | list[str] | None
    ExposedPorts: dict[str, dict[str, str]] | list[str] | None


class ContainerConfig(_Config, total=False):
    """``ContainerConfig``, merged: the command and its surroundings."""

    Env: list[str]
    Cmd: list[str] | None
    Entrypoint: list[str] | None
    Labels: dict[str, str]
    Volumes: dict[str, dict[str, str]]
    ExposedPorts: dict[str, dict[str, str]]


class RestartPolicy(TypedDict, total=False):
    """no, always, unless-stopped, on-failure with a count (0: without end)."""

    Name: str
    MaximumRetryCount: int


class LogConfig(TypedDict, total=False):
    """The log driver, json-file or none, and its options."""

    Type: str
    Config: dict[str, str] | None


class WeightDevice(TypedDict, total=False):
    """A disk's weight, 10 to 1000; 0 is the usual one."""

    Path: str
    Weight: int


class ThrottleDevice(TypedDict, total=False):
    """A disk's rate: bytes or operations a second."""

    Path: str
    Rate: int


class Resources(TypedDict, total=False):
    """The limits: what ``update`` may change, too. Bytes and µs; NanoCpus are 10⁻⁹ CPUs."""

    CpuShares: int
    CpuPeriod: int
    CpuQuota: int
    NanoCpus: int
    CpuPercent: int
    CpusetCpus: str
    CpusetMems: str
    Memory: int
    MemorySwap: int  # with the memory; -1: no limit
    MemoryReservation: int
    MemorySwappiness: int | None
    KernelMemory: int
    OomKillDisable: bool | None
    PidsLimit: int | None
    BlkioWeight: int
    BlkioWeightDevice: list[WeightDevice]
    BlkioDeviceReadBps: list[ThrottleDevice]
    BlkioDeviceWriteBps: list[ThrottleDevice]
    BlkioDeviceReadIOps: list[ThrottleDevice]
    BlkioDeviceWriteIOps: list[ThrottleDevice]


class UpdateConfig(Resources, total=False):
    """``ContainerUpdate``: the body of ``POST /containers/{id}/update``."""

    RestartPolicy: RestartPolicy


class DeviceMapping(TypedDict, total=False):
    """``--device``: a node of the host, or a folder of nodes."""

    PathOnHost: str
    PathInContainer: str
    CgroupPermissions: str


class Ulimit(TypedDict, total=False):
    """``--ulimit``, as setrlimit(2) takes it; -1: no limit."""

    Name: str
    Soft: int
    Hard: int


class BindOptions(TypedDict, total=False):
    """Of a mount of type bind."""

    Propagation: str
    NonRecursive: bool


class VolumeOptions(TypedDict, total=False):
    """Of a mount of type volume."""

    NoCopy: bool
    Labels: dict[str, str]


class TmpfsOptions(TypedDict, total=False):
    """Of a mount of type tmpfs: bytes, and the mode of its root."""

    SizeBytes: int
    Mode: int


class Mount(TypedDict, total=False):
    """One of HostConfig's ``Mounts`` (``--mount``)."""

    Type: str
    Source: str | None
    Target: str
    ReadOnly: bool
    Consistency: str
    BindOptions: BindOptions
    VolumeOptions: VolumeOptions
    TmpfsOptions: TmpfsOptions


class PortBinding(TypedDict, total=False):
    """Where a port is published."""

    HostIp: str
    HostPort: str


class HostConfig(UpdateConfig, total=False):
    """``HostConfig``: what the machine gives. `NetworkMode`, `IpcMode`, `RestartPolicy`, `LogConfig` and `ShmSize` are always
    there once it was completed (`parse.complete`)."""

    AutoRemove: bool
    Binds: list[str] | None
    Mounts: list[Mount] | None
    Tmpfs: dict[str, str] | None
    VolumesFrom: list[str] | None
    VolumeDriver: str
    ContainerIDFile: str
    LogConfig: LogConfig
    NetworkMode: str
    IpcMode: str
    PidMode: str
    UTSMode: str
    UsernsMode: str
    CgroupnsMode: str
    Privileged: bool
    ReadonlyRootfs: bool
    CapAdd: list[str] | None
    CapDrop: list[str] | None
    SecurityOpt: list[str] | None
    GroupAdd: list[str | int] | None
    MaskedPaths: list[str] | None  # None: docker's; an empty list counts
    ReadonlyPaths: list[str] | None
    Devices: list[DeviceMapping] | None
    DeviceCgroupRules: list[str] | None
    Dns: list[str] | None
    DnsOptions: list[str] | None
    DnsSearch: list[str] | None
    ExtraHosts: list[str] | None
    Links: list[str] | None
    PortBindings: dict[str, list[PortBinding]] | None
    PublishAllPorts: bool
    Sysctls: dict[str, str] | None
    Ulimits: list[Ulimit] | None
    ShmSize: int  # bytes
    OomScoreAdj: int
    CgroupParent: str
    CpuRealtimePeriod: int
    CpuRealtimeRuntime: int
    ConsoleSize: list[int] | None  # rows, columns
    Init: bool | None
    Runtime: str


class IPAMConfig(TypedDict, total=False):
    """The addresses that an endpoint asks for."""

    IPv4Address: str
    IPv6Address: str
    LinkLocalIPs: list[str]


class EndpointConfig(TypedDict, total=False):
    """How a container sits in one network."""

    IPAMConfig: IPAMConfig | None
    Aliases: list[str] | None
    Links: list[str] | None
    MacAddress: str
    DriverOpts: dict[str, str] | None


class NetworkingConfig(TypedDict, total=False):
    """Network → how the container sits in it."""

    EndpointsConfig: Mapping[str, EndpointConfig | None]


class ExecConfig(TypedDict, total=False):
    """``POST /containers/{id}/exec``."""

    Cmd: list[str]
    Env: list[str] | None
    User: str
    WorkingDir: str
    Tty: bool
    Privileged: bool
    AttachStdin: bool
    AttachStdout: bool
    AttachStderr: bool
    DetachKeys: str
    ConsoleSize: list[int] | None  # rows, columns


class CreateResponse(TypedDict):
    """The answer to ``POST /containers/create``."""

    Id: str
    Warnings: list[str]


class UpdateResponse(TypedDict):
    """The answer to ``POST /containers/{id}/update``."""

    Warnings: list[str]


class IdResponse(TypedDict):
    """The answer to ``POST /containers/{id}/exec``."""

    Id: str


class MountRecord(TypedDict):
    """`mounts.MountPoint` in config.json."""

    kind: str
    destination: str
    source: str
    name: str
    mode: str
    rw: bool
    propagation: str
    options: list[str]
    make_source: bool
    anonymous: bool
    nocopy: bool
    recursive: bool
    listed: bool


class StartFailure(TypedDict):
    """Why the last start failed."""

    ExitCode: int
    Error: str


class Record(TypedDict):
    """config.json: what was asked for, and what the engine must remember of it."""

    ID: str
    Created: str  # RFC 3339
    Image: str  # the image's id
    Path: str
    Args: list[str]
    Config: ContainerConfig
    HostConfig: HostConfig
    Driver: str
    RestartCount: int
    ManuallyStopped: bool
    Network: NotRequired[IPAMConfig]
    MountPoints: NotRequired[list[MountRecord]]
    StartError: NotRequired[StartFailure]
    RestartDelay: NotRequired[float]  # seconds
    KeepVolumes: NotRequired[bool]
    TimeOffsets: NotRequired[dict[str, int]]

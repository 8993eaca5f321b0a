"""docker-py's keywords of ``containers.run`` and ``create`` by type, for mypy: a wrong one is seen before anything runs.

For mypy alone; ``tests/unit/client/test_options.py`` holds that these are the keywords that `types` and `models.run` take.
Sizes are bytes or texts such as "64m"; times are ns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from minidock.client import types

Size = int | str
Path = str | bytes


class VolumeBind(TypedDict, total=False):
    """Where a volume is bound, and how."""

    bind: str
    mode: str
    ro: bool
    propagation: str


class _Shared(TypedDict, total=False):
    """`minidock.client.types.HOST_CONFIG`, but for what `RunOptions` has in another form."""

    mem_limit: Size
    memswap_limit: Size
    mem_reservation: Size
    kernel_memory: Size
    mem_swappiness: int | None
    oom_kill_disable: bool | None
    oom_score_adj: int | None
    cpu_shares: int | None
    cpu_quota: int | None  # µs
    cpu_period: int | None  # µs
    cpu_count: int | None
    cpu_percent: int | None
    nano_cpus: int | None
    cpu_rt_period: int | None
    cpu_rt_runtime: int | None
    cpuset_cpus: str | None
    cpuset_mems: str | None
    blkio_weight: int | None
    blkio_weight_device: Sequence[Mapping[str, object]] | None
    device_read_bps: Sequence[Mapping[str, object]] | None
    device_write_bps: Sequence[Mapping[str, object]] | None
    device_read_iops: Sequence[Mapping[str, object]] | None
    device_write_iops: Sequence[Mapping[str, object]] | None
    pids_limit: int | None
    shm_size: Size | None
    ulimits: Sequence[types.Ulimit | Mapping[str, object]] | None
    sysctls: Mapping[str, str | int] | None
    cgroup_parent: str | None
    pid_mode: str | None
    ipc_mode: str | None
    uts_mode: str | None
    userns_mode: str | None
    cgroupns: str | None
    privileged: bool
    read_only: bool | None
    cap_add: Sequence[str] | None
    cap_drop: Sequence[str] | None
    security_opt: Sequence[str] | None
    group_add: Iterable[str | int] | None
    devices: Sequence[str | Mapping[str, str]] | None
    device_cgroup_rules: Sequence[str] | None
    device_requests: Sequence[types.DeviceRequest | Mapping[str, object]] | None
    mounts: Sequence[types.Mount | Mapping[str, object]] | None
    tmpfs: Mapping[str, str] | list[str] | None
    volumes_from: str | Sequence[str] | None
    volume_driver: str | None
    storage_opt: Mapping[str, str] | None
    publish_all_ports: bool
    links: Mapping[str, str | None] | Iterable[tuple[str, str | None]] | None
    dns: Sequence[str] | None
    dns_opt: Sequence[str] | None
    dns_search: Sequence[str] | None
    extra_hosts: Mapping[str, str] | list[str] | None
    restart_policy: Mapping[str, object] | None
    auto_remove: bool
    init: bool | None
    log_config: types.LogConfig | Mapping[str, object] | None
    runtime: str | None
    isolation: str | None
    lxc_conf: object  # these two are refused
    init_path: object
    network_mode: str | None


class HostOptions(_Shared, total=False):
    """The keywords of `APIClient.create_host_config`."""

    binds: Mapping[Path, str | VolumeBind] | list[str] | None
    port_bindings: Mapping[str | int, object] | None


class RunOptions(_Shared, total=False):
    """The keywords of ``containers.run``, but for `detach` and `stream`, which its answer depends on."""

    domainname: str | None
    entrypoint: str | list[str] | None
    environment: Mapping[str, object] | Sequence[str] | None
    healthcheck: Mapping[str, object] | None
    hostname: str | None
    labels: Mapping[str, str] | Sequence[str] | None
    mac_address: str | None
    name: str | None
    network_disabled: bool
    platform: str | None
    stdin_open: bool
    stop_signal: str | None
    tty: bool
    use_config_proxy: bool
    user: str | int | None
    working_dir: str | None
    ports: Mapping[str | int, object] | None
    volumes: Mapping[str, str | VolumeBind] | list[str] | None
    network: str | None
    networking_config: Mapping[str, types.EndpointConfig] | None


class CreateOptions(RunOptions, total=False):
    """The keywords of ``containers.create``. `detach` says whether the streams are to be attached."""

    detach: bool

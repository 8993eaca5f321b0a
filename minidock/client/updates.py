"""docker-py's keywords of `update_container`, as the body of ``POST /containers/{id}/update`` (Engine API 1.41)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidock.client.types import HOST_CONFIG

# What can be changed while the container is there: those of docker-py, and what the Engine API has besides.
UPDATABLE = (
    "blkio_weight", "blkio_weight_device", "cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus", "cpuset_mems",
    "device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops", "kernel_memory", "mem_limit",
    "mem_reservation", "memswap_limit", "nano_cpus", "pids_limit", "restart_policy",
)  # fmt: skip


def body(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The body for `changes`, which have `HostConfig`'s keywords and forms. None, 0 and "" mean: as it was.

    Raises TypeError for a keyword that cannot be changed, InvalidArgument for a size that is none.
    """
    result = {}
    for name, value in changes.items():
        if name not in UPDATABLE:
            raise TypeError(f"update_container() got an unexpected keyword argument '{name}'")
        option = HOST_CONFIG[name]
        if value:
            result[option.key] = option.convert(value) if option.convert else value
    return result

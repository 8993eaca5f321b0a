"""docker-py's keywords of `update_container`, as the body of ``POST /containers/{id}/update`` (Engine API 1.41)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidock.client.types import HOST_CONFIG

DOCKER_PY = (
    "blkio_weight", "cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus", "cpuset_mems", "kernel_memory", "mem_limit",
    "mem_reservation", "memswap_limit", "restart_policy",
)  # fmt: skip
# What the engine can change besides.
MORE = (
    "blkio_weight_device", "device_read_bps", "device_read_iops", "device_write_bps", "device_write_iops", "mem_swappiness",
    "nano_cpus", "oom_kill_disable", "pids_limit",
)  # fmt: skip


def body(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The body for `changes`, which have `HostConfig`'s keywords and forms.

    What is None stays as it was, and of docker-py's keywords what is 0 or "". Raises TypeError for a keyword that cannot be
    changed, InvalidArgument for a size that is none.
    """
    result = {}
    for name, value in changes.items():
        if name not in (*DOCKER_PY, *MORE):
            raise TypeError(f"update_container() got an unexpected keyword argument '{name}'")
        option = HOST_CONFIG[name]
        if value or (name in MORE and value is not None):
            result[option.key] = option.convert(value) if option.convert else value
    return result

"""From two samples of a container (``GET /containers/{id}/stats``) to the figures and texts of ``stats``.

docker's own arithmetic, so that both say the same of the same container. Source: docker/cli
``cli/command/container/stats_helpers.go`` and ``formatter_stats.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minidock.cli.format.units import bytes_size, human_size

Sample = Mapping[str, Any]
SHORT_ID = 12


def cpu_percent(sample: Sample, before: Sample) -> float:
    """CPU time used since the sample `before`, in percent of one CPU: 200 is two CPUs busy all the time."""
    now, then = sample.get("cpu_stats") or {}, before.get("cpu_stats") or {}
    used = now.get("cpu_usage", {}).get("total_usage", 0) - then.get("cpu_usage", {}).get("total_usage", 0)
    system = now.get("system_cpu_usage", 0) - then.get("system_cpu_usage", 0)
    cpus = now.get("online_cpus") or len(now.get("cpu_usage", {}).get("percpu_usage") or ())
    return float(used / system * cpus * 100) if used > 0 and system > 0 else 0.0


def memory(sample: Sample) -> tuple[float, float]:
    """(bytes used, limit). Page cache that can be dropped at once (inactive_file) is not counted as used."""
    found = sample.get("memory_stats") or {}
    usage, stat = found.get("usage", 0), found.get("stats") or {}
    cache = stat.get("total_inactive_file", stat.get("inactive_file", 0))
    return (usage - cache if cache < usage else usage), found.get("limit", 0)


def network(sample: Sample) -> tuple[int, int]:
    """(received, sent), bytes over all interfaces."""
    interfaces = (sample.get("networks") or {}).values()
    return sum(i["rx_bytes"] for i in interfaces), sum(i["tx_bytes"] for i in interfaces)


def block_io(sample: Sample) -> tuple[int, int]:
    """(read, written), bytes over all devices."""
    entries = (sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    read, written = (sum(e["value"] for e in entries if e["op"].lower() == word) for word in ("read", "write"))
    return read, written


def row(ref: str, sample: Sample | None, before: Sample | None, *, truncate: bool, gone: bool = False) -> dict[str, Any]:
    """The texts of one container, which was asked for as `ref`. One that is `gone` has its name only, and dashes."""
    sample = sample or {}
    used, limit = memory(sample)
    texts = {
        "Container": ref,
        "Name": sample.get("name", "").removeprefix("/") or "--",
        "ID": sample.get("id", "")[: SHORT_ID if truncate else None],
        "CPUPerc": f"{cpu_percent(sample, before or {}):.2f}%",
        "MemUsage": f"{bytes_size(used)} / {bytes_size(limit)}",
        "MemPerc": f"{used / limit * 100 if limit else 0:.2f}%",
        "NetIO": " / ".join(map(human_size, network(sample))),
        "BlockIO": " / ".join(map(human_size, block_io(sample))),
        "PIDs": str((sample.get("pids_stats") or {}).get("current", 0)),
    }
    if gone:
        texts |= {"CPUPerc": "--", "MemUsage": "-- / --", "MemPerc": "--", "NetIO": "--", "BlockIO": "--", "PIDs": "--"}
    return dict(sorted(texts.items()))  # as docker's JSON has them

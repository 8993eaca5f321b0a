"""What limits cost a start: the same run without any, with one, and with all of them."""

from __future__ import annotations

import os
from typing import Any

from tests.bench.measure import Table, in_turn, timed
from tests.bench.stage import Stage

PROMISE = "all limits at most 1.15 of none"
ALL: dict[str, Any] = {
    "cpu_shares": 512,
    "cpu_period": 100_000,
    "cpu_quota": 150_000,
    "cpuset_cpus": "0",
    "cpuset_mems": "0",
    "mem_limit": "128m",
    "memswap_limit": "256m",
    "mem_reservation": "64m",
    "mem_swappiness": 10,
    "pids_limit": 100,
    "oom_score_adj": 100,
}


def disk(path: str) -> str:
    """The whole disk below a path, as /dev names it; "" if there is none (a tmpfs, an overlay)."""
    number = os.stat(path).st_dev
    try:
        link = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    except OSError:
        return ""
    parts = link.split("/")
    name = parts[-2] if os.path.exists(f"{link}/partition") else parts[-1]
    return f"/dev/{name}" if os.path.exists(f"/sys/block/{name}") else ""


def run(stage: Stage) -> list[Table]:
    rates = {"device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops"}
    device = disk(str(stage.folder))
    every = ALL | ({name: [{"Path": device, "Rate": 100 << 20}] for name in rates} if device else {})

    def start(**limits: Any) -> object:
        return stage.client.containers.run("busybox", "true", network_mode="none", remove=True, **limits)

    subjects = {
        "no limit": timed(lambda: start()),
        "memory alone": timed(lambda: start(mem_limit="128m")),
        f"all {len(every)} limits": timed(lambda: start(**every)),
    }
    return [
        Table(
            "What limits add to a warm start of busybox true", "ms", PROMISE, in_turn(subjects, rounds=60, reference="no limit")
        )
    ]

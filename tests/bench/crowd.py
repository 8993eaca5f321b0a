"""Fifty containers at once, through the same Python program: docker-py to dockerd, and our client."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker

from tests.bench.measure import Row, Table
from tests.bench.stage import Stage

N = 50


def fifty(client: Any) -> tuple[float, float]:
    """Seconds until fifty containers run, and until they are all removed again."""

    def start(number: int) -> Any:
        return client.containers.run("busybox", "sleep 600", detach=True, network_mode="none", name=f"crowd{number}")

    with ThreadPoolExecutor(N) as pool:
        begin = time.perf_counter()
        containers = list(pool.map(start, range(N)))
        up = time.perf_counter()
        list(pool.map(lambda c: c.remove(force=True), containers))
        return up - begin, time.perf_counter() - up


def run(stage: Stage) -> list[Table]:
    peer = docker.DockerClient(base_url=stage.docker.host, timeout=120)
    up = [Row("minidock"), Row("dockerd", reference=True)]
    down = [Row("minidock"), Row("dockerd", reference=True)]
    for _ in range(3):
        for i, client in enumerate((stage.client, peer)):
            started, removed = fifty(client)
            up[i].samples.append(started * 1000)
            down[i].samples.append(removed * 1000)
    peer.close()
    return [
        Table(f"{N} containers at once: run -d", "ms", "at most 0.33 of dockerd's", up),
        Table(f"{N} containers at once: rm -f", "ms", "none", down),
    ]

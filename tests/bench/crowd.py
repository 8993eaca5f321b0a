"""Fifty containers at once: through one Python program (docker-py to dockerd, and our client), and by fifty commands."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker

from tests.bench.measure import Row, Table, in_turn
from tests.bench.stage import COMMAND, Stage

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


def fifty_commands(*argv: str) -> float:
    """Seconds until fifty ``run -d`` have ended, all begun at once. RuntimeError in a command's words if one failed."""
    options = ("--net=none", "busybox", "sleep", "600")
    begin = time.perf_counter()
    running = [
        subprocess.Popen(
            [*argv, "run", "-d", "--name", f"crowd{number}", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for number in range(N)
    ]
    said = [process.communicate()[0] for process in running]
    took = time.perf_counter() - begin
    for process, words in zip(running, said, strict=True):
        if process.returncode:
            raise RuntimeError(f"{argv[0]}: exit {process.returncode}: {words.decode(errors='replace')}")
    subprocess.run([*argv, "rm", "-f", *(f"crowd{number}" for number in range(N))], check=True, stdout=subprocess.DEVNULL)
    return took


def commands(stage: Stage) -> list[Table]:
    """Fifty commands at once: what one uses of the processor is what counts, and most of that is its start."""
    docker = ("docker", "-H", stage.docker.host)
    subjects = {"minidock run -d": lambda: fifty_commands(COMMAND), "docker run -d": lambda: fifty_commands(*docker)}
    rows = in_turn(subjects, rounds=3, reference="docker run -d", warmup=1)
    return [Table(f"{N} commands at once: run -d --net=none", "ms", "at most 0.30 of docker's", rows)]

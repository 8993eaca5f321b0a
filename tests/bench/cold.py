"""Whole commands: ``minidock run`` and ``docker run``, ``minidock exec`` and ``docker exec``."""

from __future__ import annotations

import os
import signal

import docker

from tests.bench.measure import Table, in_turn, timed
from tests.bench.stage import COMMAND, Stage

NAME = "benched"


def run(stage: Stage) -> list[Table]:
    """``run --rm --net=none busybox true`` and the same with the default network."""

    def docker(*network: str) -> float:
        return stage.worker.time("docker", "-H", stage.docker.host, "run", "--rm", *network, "busybox", "true")

    def ours(*network: str) -> float:
        return stage.worker.time(COMMAND, "run", "--rm", *network, "busybox", "true")

    def without_zygote() -> float:
        stage.client.api.engine.execdriver.stop_zygote()  # type: ignore[attr-defined]
        return ours("--net=none")

    none = {
        "minidock run --net=none": lambda: ours("--net=none"),
        "minidock run --net=none, no zygote yet": without_zygote,
        "docker run --net=none": lambda: docker("--net=none"),
    }
    bridge = {"minidock run": ours, "docker run": docker}
    return [
        Table(
            "Whole command, no network", "ms", "less than docker's", in_turn(none, rounds=12, reference="docker run --net=none")
        ),
        Table("Whole command, default network", "ms", "none yet", in_turn(bridge, rounds=12, reference="docker run")),
    ]


def run_exec(stage: Stage) -> list[Table]:
    """``exec C true``: from a Python program (docker-py against dockerd, our client), and as whole commands."""
    peer = docker.DockerClient(base_url=stage.docker.host, timeout=120)
    clients = (stage.client, peer)
    ours, theirs = (c.containers.run("busybox", "sleep 600", name=NAME, network_mode="none", detach=True) for c in clients)
    programs = {
        "minidock, embedded exec_run": timed(lambda: ours.exec_run("true")),
        "docker-py, exec_run": timed(lambda: theirs.exec_run("true")),
    }
    commands = {
        "minidock exec": lambda: stage.worker.time(COMMAND, "exec", NAME, "true"),
        "docker exec": lambda: stage.worker.time("docker", "-H", stage.docker.host, "exec", NAME, "true"),
    }
    what, promise = "One more process in a running container", "at most 0.50 of docker's"
    tables = [
        Table(f"{what}: from a program", "ms", promise, in_turn(programs, rounds=20, reference="docker-py, exec_run")),
        Table(f"{what}: whole command", "ms", promise, in_turn(commands, rounds=20, reference="docker exec")),
    ]
    for container in (ours, theirs):
        container.remove(force=True)
    peer.close()
    return tables


def kill_zygotes(stage: Stage) -> None:
    """SIGKILL to this instance's zygotes."""
    for pid in stage.zygotes():
        os.kill(pid, signal.SIGKILL)

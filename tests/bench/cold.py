"""Whole commands: ``minidock run`` and ``docker run``, ``minidock exec`` and ``docker exec``."""

from __future__ import annotations

import os
import signal

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
    """``exec C true``, as commands and embedded."""
    stage.docker("run", "-d", "--name", NAME, "--net=none", "busybox", "sleep", "600")
    container = stage.client.containers.run("busybox", "sleep 600", name=NAME, network_mode="none", detach=True)
    subjects = {
        "minidock exec": lambda: stage.worker.time(COMMAND, "exec", NAME, "true"),
        "minidock, embedded exec_run": timed(lambda: container.exec_run("true")),
        "docker exec": lambda: stage.worker.time("docker", "-H", stage.docker.host, "exec", NAME, "true"),
    }
    rows = in_turn(subjects, rounds=15, reference="docker exec")
    container.remove(force=True)
    stage.docker("rm", "-f", NAME)
    return [Table("One more process in a running container", "ms", "at most 0.50 of docker's", rows)]


def kill_zygotes(stage: Stage) -> None:
    """SIGKILL to this instance's zygotes."""
    for pid in stage.zygotes():
        os.kill(pid, signal.SIGKILL)

"""Whole commands: ``minidock run`` and ``docker run``, ``exec`` and ``exec``, and where the milliseconds of each verb go."""

from __future__ import annotations

import os
import signal
import sys
import time

import docker

from tests.bench.measure import Row, Table, in_turn, timed
from tests.bench.stage import COMMAND, Stage

NAME = "benched"
VERBS = (f"exec {NAME} true", "run --rm --net=none busybox true", "ps", f"inspect {NAME}", "images", f"logs {NAME}")


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
            "Whole command, no network",
            "ms",
            "at most 0.45 of docker's",
            in_turn(none, rounds=12, reference="docker run --net=none"),
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
    what = "One more process in a running container"
    from_program = in_turn(programs, rounds=20, reference="docker-py, exec_run")
    whole = in_turn(commands, rounds=20, reference="docker exec")
    tables = [
        Table(f"{what}: from a program", "ms", "at most 0.50 of docker's", from_program),
        Table(f"{what}: whole command", "ms", "at most 1.0 of docker's; 0.6 is to be reached for", whole),
    ]
    for container in (ours, theirs):
        container.remove(force=True)
    peer.close()
    return tables


def verbs(stage: Stage) -> list[Table]:
    """Each verb beside the interpreter that does nothing: wall time, and what it and its children use of the processor."""
    target = stage.client.containers.run("busybox", "sleep 600", name=NAME, network_mode="none", detach=True)
    subjects = {
        "python -IS -c pass": (sys.executable, "-IS", "-c", "pass"),
        "minidock --version": (COMMAND, "--version"),
        **{f"minidock {verb}": (COMMAND, *verb.split()) for verb in VERBS},
    }
    wall = {name: Row(name) for name in subjects}
    used = {name: Row(name, reference=name.startswith("python")) for name in subjects}
    for _ in range(12):
        for name, argv in subjects.items():
            seconds, processor = cost(argv)
            wall[name].samples.append(seconds * 1000)
            used[name].samples.append(processor * 1000)
    target.remove(force=True)
    return [
        Table("Each verb, whole command: wall time", "ms", "none", list(wall.values())),
        Table("Each verb, whole command: processor time", "ms", "none", list(used.values())),
    ]


def cost(argv: tuple[str, ...]) -> tuple[float, float]:
    """(wall, user + system) seconds of one command; RuntimeError unless it ends well."""
    start = time.perf_counter()
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    _, status, used = os.wait4(os.posix_spawn(argv[0], argv, os.environ, file_actions=silent), 0)
    wall = time.perf_counter() - start
    if status:
        raise RuntimeError(f"{argv}: exit {os.waitstatus_to_exitcode(status)}")
    return wall, used.ru_utime + used.ru_stime


def kill_zygotes(stage: Stage) -> None:
    """SIGKILL to this instance's zygotes."""
    for pid in stage.zygotes():
        os.kill(pid, signal.SIGKILL)

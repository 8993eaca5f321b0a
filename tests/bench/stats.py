"""Statistics: what one sample costs, how much of a core a hundred containers take at 1 Hz, how soon ``--no-stream`` answers."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from tests.bench.measure import Row, Table, in_turn, timed
from tests.bench.stage import COMMAND, Stage

N, SECONDS = 100, 10


def run(stage: Stage) -> list[Table]:
    containers = [stage.client.containers.run("busybox", "sleep 600", detach=True, network_mode="none") for _ in range(N)]
    try:
        return [one_sample(stage, containers[0].id), hundred(stage), answer(stage, containers[0].id)]
    finally:
        for container in containers:
            container.remove(force=True)


def one_sample(stage: Stage, id: str) -> Table:
    """One call by itself, and one sample of a stream, where what stays the same was looked up before."""
    from minidock.daemon.containers.stats import Sampler
    from minidock.daemon.record.names import lookup

    api = stage.client.api
    sampler = Sampler(lookup(api.engine, id))
    subjects = {
        "stats(one_shot=True)": timed(lambda: api.stats(id, stream=False, one_shot=True)),
        "next sample of a stream": timed(sampler.take),
    }
    return Table("One sample of one container", "ms", "at most 1", in_turn(subjects, rounds=100))


def hundred(stage: Stage) -> Table:
    """CPU time of the whole command ``minidock stats``, which draws a table of all each second."""
    rows = [Row("minidock stats"), Row("minidock stats NAME…")]
    ids = [container.id for container in stage.client.containers.list(sparse=True)]
    for row, names in zip(rows, ([], ids), strict=True):
        with subprocess.Popen([COMMAND, "stats", *names], stdout=subprocess.DEVNULL) as process:
            time.sleep(3)  # the start is over
            for _ in range(3):
                before, begin = cpu_seconds(process.pid), time.monotonic()
                time.sleep(SECONDS)
                row.samples.append((cpu_seconds(process.pid) - before) / (time.monotonic() - begin) * 100)
            process.kill()
    return Table(f"{N} containers sampled at 1 Hz", "% of a core", "at most 5", rows)


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used (proc_pid_schedstat, in ns)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def answer(stage: Stage, id: str) -> Table:
    """The whole command beside docker's."""
    stage.docker("run", "-d", "--name=watched", "--net=none", "busybox", "sleep", "600")
    environment = {**os.environ, "DOCKER_HOST": stage.docker.host}

    def theirs() -> object:
        return subprocess.run(["docker", "stats", "--no-stream", "watched"], check=True, capture_output=True, env=environment)

    subjects = {
        "minidock stats --no-stream": timed(lambda: stage.minidock("stats", "--no-stream", id)),
        "docker stats --no-stream": timed(theirs),
    }
    rows = in_turn(subjects, rounds=5, reference="docker stats --no-stream", warmup=1)
    stage.docker("rm", "-f", "watched")
    return Table("stats --no-stream of one container", "ms", "minidock's at most 150", rows)

"""The records of execs: ``RUN/exec/<exec id>.json``, beside the files its shim writes. On a tmpfs: they end with the boot.

::

    <exec id>.json       what was asked for: the container, its run, the Engine API's ExecConfig
    <exec id>.sock       the shim, while it runs
    <exec id>.run.json   written at the start; <exec id>.exit.json at the end
    looked               when somebody last looked for records to forget

A container with a health check has an exec every few seconds for months. So an ended one is forgotten after `REMEMBERED`
seconds, by whoever makes the next (`forget_ended`); the command ``minidock exec``, which has got the exit code, forgets its own
at once.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidock.daemon.record.container import read_json
from minidock.errors import ExecNotFound
from minidock.frozen import Frozen
from minidock.linux import files, trace

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.request.wire import ExecConfig

_ID = re.compile(r"[0-9a-f]{64}")
REMEMBERED = 300.0  # seconds for which an end can be asked for (moby daemon/exec.go, execCommandGC: 5 to 10 minutes)
LOOK_EVERY = 60.0  # seconds: how often somebody looks
_KINDS = ("sock", "lock", "run.json", "exit.json", "json")  # the record last: a half forgotten one is found by it


class Exec(Frozen):
    """One exec: what was asked for, in which run of which container."""

    id: str
    container: str
    run: int
    config: ExecConfig

    def path(self, engine: Engine, kind: str) -> Path:
        """One of its files: json, sock, run.json or exit.json."""
        return engine.paths.exec / f"{self.id}.{kind}"


def save(engine: Engine, exec: Exec) -> None:
    """Write the record."""
    engine.paths.exec.mkdir(mode=0o700, exist_ok=True)
    files.write_atomic(exec.path(engine, "json"), json.dumps(vars(exec)), durable=False)


def load(engine: Engine, id: str) -> Exec:
    """Read the record. Raises ExecNotFound."""
    value = read_json(engine.paths.exec / f"{id}.json") if _ID.fullmatch(id) else None
    if value is None:
        raise ExecNotFound(id)
    return Exec(**value)


def of_container(engine: Engine, container: str) -> list[Exec]:
    """All execs of a container."""
    try:
        names = os.listdir(engine.paths.exec)
    except FileNotFoundError:
        return []
    ids = [name.removesuffix(".json") for name in names if _ID.fullmatch(name.removesuffix(".json"))]
    values = [read_json(engine.paths.exec / f"{id}.json") for id in ids]
    return [Exec(**value) for value in values if value and value["container"] == container]


def running(engine: Engine, exec: Exec) -> dict[str, Any] | None:
    """run.json of an exec that runs (its shim may be about to write the end)."""
    from minidock.daemon.base import proc

    if exec.path(engine, "exit.json").exists():
        return None
    run = read_json(exec.path(engine, "run.json"))
    return run if run and proc.alive(int(run["shim_pid"]), int(run["shim_start"])) else None


def forget(engine: Engine, container: str) -> None:
    """Remove the records of a container's execs. Safe to repeat."""
    for exec in of_container(engine, container):
        forget_one(engine, exec.id)


def forget_one(engine: Engine, id: str) -> None:
    """Remove the record of one exec. Safe to repeat."""
    with trace.step("unlink", engine.paths.exec / f"{id}.*"):
        for kind in _KINDS:
            (engine.paths.exec / f"{id}.{kind}").unlink(missing_ok=True)


def forget_ended(engine: Engine) -> None:
    """Remove the records of execs that ended more than `REMEMBERED` seconds ago, in whatever container of the instance.

    Looks at most every `LOOK_EVERY` seconds, so that it costs an exec nothing. One that was made and never started stays until
    its container ends, as docker's does.
    """
    now, looked = time.time(), engine.paths.exec / "looked"
    with suppress(FileNotFoundError):
        if 0 <= now - looked.stat().st_mtime < LOOK_EVERY:
            return
    looked.touch(mode=0o600)
    names = set(os.listdir(engine.paths.exec))
    for id in [name.removesuffix(".json") for name in names if _ID.fullmatch(name.removesuffix(".json"))]:
        started, ended = f"{id}.run.json", f"{id}.exit.json"
        last = ended if ended in names else started if started in names else ""
        with suppress(FileNotFoundError):  # somebody else forgets it just now
            if last and now - (engine.paths.exec / last).stat().st_mtime > REMEMBERED and not running(engine, load(engine, id)):
                forget_one(engine, id)

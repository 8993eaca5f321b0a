"""A container as the daemon keeps it: one folder, a record under a lock, and a state that is never stored.

::

    containers/<id>/
      lock         flock(2): whoever changes anything here, or starts or removes the container, holds it
      config.json  the record, written by an engine: what was asked for (Config, HostConfig, MountPoints, …)
      run.json     written by the shim at a start: run number, pids, start times, boot id
      exit.json    written by the shim (or by reconcile, when the shim died) at the end of that run

*Running* is not written anywhere, so that it cannot be wrong: it is read off these files, the processes they name and the
freezer (`Container.state`). The name is in linkgraph.db alone, where it is unique.

    config.json ─┬─ no run.json ───────────────────────────────────────── created
                 └─ run.json ─┬─ exit.json of the same run ─┬─ a restart is due ── restarting
                              │                             └──────────── exited
                              └─ no exit.json yet ─┬─ process lives ───── running, paused (frozen)
                                                   ├─ other boot ──────── exited (255)
                                                   └─ neither it nor its shim lives ── exited (137)
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from minidock.daemon.base import proc
from minidock.daemon.base.timestamps import ZERO
from minidock.errors import APIError, ContainerNotFound
from minidock.linux.files import flock, read_small, write, write_atomic
from minidock.linux.trace import step

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.request.wire import ContainerConfig, HostConfig, Record

KILLED, LOST_IN_REBOOT = 137, 255


class State(NamedTuple):
    """docker's ``State``: what a container is doing, or how it ended. Times are RFC 3339."""

    status: str
    pid: int = 0
    pid_start: int = 0
    run: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: str = ZERO
    finished_at: str = ZERO
    shim_alive: bool = False

    @property
    def running(self) -> bool:
        """True while there is a process: running or paused."""
        return self.status in ("running", "paused")

    @property
    def active(self) -> bool:
        """docker's ``Running``: also true between two runs of a restart policy."""
        return self.running or self.status == "restarting"

    def api(self) -> dict[str, Any]:
        """The ``State`` object of the Engine API."""
        return {
            "Status": self.status,
            "Running": self.active,
            "Paused": self.status == "paused",
            "Restarting": self.status == "restarting",
            "OOMKilled": self.oom_killed,
            "Dead": False,
            "Pid": self.pid if self.running else 0,
            "ExitCode": self.exit_code,
            "Error": self.error,
            "StartedAt": self.started_at,
            "FinishedAt": self.finished_at,
        }


class Container:
    """One container of `engine`; `record` is the content of config.json."""

    def __init__(self, engine: Engine, id: str, record: Record, directory: Path) -> None:
        self.engine, self.id, self.record, self.directory = engine, id, record, directory
        self.lock = -1  # the lock's descriptor, while it is held

    def __repr__(self) -> str:
        return f"Container({self.id!r}, {self.directory!s})"

    @classmethod
    def load(cls, engine: Engine, id: str) -> Container:
        """Read the record. Raises ContainerNotFound."""
        directory = engine.paths.container(id)
        record = read_record(directory)
        if record is None:
            raise ContainerNotFound(id)
        return cls(engine, id, record, directory)

    @property
    def config(self) -> ContainerConfig:
        """The Engine API's ``Config``: what the command is."""
        return self.record["Config"]

    @property
    def host_config(self) -> HostConfig:
        """The Engine API's ``HostConfig``: what the machine gives it."""
        return self.record["HostConfig"]

    @property
    def name(self) -> str:
        """The name, without docker's leading slash ("" when it is being removed)."""
        row = self.engine.links.execute("SELECT name FROM names WHERE kind='container' AND id=?", self.id).fetchone()
        return row[0] if row else ""

    @property
    def log_path(self) -> str:
        """The json-file log ("" with another log driver)."""
        kind = self.host_config.get("LogConfig", {}).get("Type") or "json-file"
        return str(self.directory / f"{self.id}-json.log") if kind == "json-file" else ""

    @property
    def cgroup(self) -> str:
        """The container's cgroup path in every hierarchy."""
        return self.engine.paths.cgroup(self.id, (self.record.get("HostConfig") or {}).get("CgroupParent") or "")

    def save(self, *, durable: bool = True) -> None:
        """Write config.json (the caller holds the lock). A container that goes at its exit needs no fsync."""
        text = json.dumps(self.record, separators=(",", ":"))
        write_atomic(self.directory / "config.json", text, durable=durable and not self.host_config.get("AutoRemove"))

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Write config.json beside its place, and put it there if the ``with`` ends well: for a change that the kernel must
        agree to. A disk without room says so beforehand."""
        path = f"{self.directory}/config.json"
        with ExitStack() as undo:
            undo.callback(_unlink, f"{path}.new")
            with step("write", path):
                text = json.dumps(self.record, separators=(",", ":"))
                write(f"{path}.new", text, durable=not self.host_config.get("AutoRemove"))
            yield
            with step("rename", path):
                os.rename(f"{path}.new", path)

    def frozen(self) -> bool:
        """Whether the cgroup is frozen (docker's paused)."""
        from minidock.execdriver import cgroups

        return cgroups.manager(self.cgroup).frozen()

    def thaw(self) -> None:
        """Let a frozen container go on."""
        from minidock.execdriver import cgroups

        cgroups.manager(self.cgroup).thaw()

    @contextmanager
    def locked(self, *, blocking: bool = True) -> Iterator[Container]:
        """Hold the container's lock, with the record read afresh. Raises ContainerNotFound if it was removed meanwhile."""
        path = self.directory / "lock"
        try:
            with flock(path, blocking=blocking) as fd:
                # Removal renames the folder away: a lock won on the old inode locks nothing.
                if not same_file(fd, path):
                    raise ContainerNotFound(self.id)
                record = read_record(self.directory)
                if record is None:
                    raise ContainerNotFound(self.id)
                self.record = record
                self.lock = fd
                try:
                    yield self
                finally:
                    self.lock = -1
                    fcntl.flock(fd, fcntl.LOCK_UN)  # a starter may have a copy of the descriptor (`start`)
        except FileNotFoundError as error:
            if error.filename != str(path):
                raise
            raise ContainerNotFound(self.id) from None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """For whoever puts together what belongs to the container, without its lock. Raises ContainerNotFound if it went
        meanwhile: what is found missing then, or was read too late, is no fault."""
        try:
            yield
        except (APIError, OSError):
            if self.directory.exists():
                raise
            raise ContainerNotFound(self.id) from None
        if not self.directory.exists():
            raise ContainerNotFound(self.id)

    def refresh(self) -> bool:
        """Read the record again, for whoever looks for long. False if the container is gone."""
        record = read_record(self.directory)
        if record is None:
            return False
        self.record = record
        return True

    def exit_json(self, run: dict[str, Any] | None = None) -> dict[str, Any]:
        """How the last finished run ended ({} if none has). `run` is run.json, if the caller has just read it."""
        ended = read_json(self.directory / "exit.json") or {}
        noted = (self.run_json() if run is None else run).get("exit") or {}  # where the shim put it on a full disk
        return noted if noted.get("run", 0) > ended.get("run", 0) else ended

    def run_json(self) -> dict[str, Any]:
        """The last run ({} if it was never started)."""
        return read_json(self.directory / "run.json") or {}

    def state(self) -> State:
        """Work out what the container is doing now. See the drawing above."""
        run = self.run_json()
        if not run:
            ended = self.exit_json()
            if ended:  # a later start was taken back, and its run.json with it
                return self._ended(int(ended["run"]), str(ended["finished_at"]), ended)
            failed = self.record.get("StartError")
            return State("created", exit_code=failed["ExitCode"], error=failed["Error"]) if failed else State("created")
        number, started = int(run["run"]), str(run["started_at"])
        ended = self.exit_json(run)
        if ended and int(ended["run"]) >= number:
            return self._ended(number, started, ended)
        pid, start = int(run["pid"]), int(run["pid_start"])
        if run["boot_id"] != proc.boot_id():
            return State("exited", run=number, exit_code=LOST_IN_REBOOT, started_at=started, finished_at=started)
        shim = proc.alive(int(run["shim_pid"]), int(run["shim_start"]))
        if shim or proc.alive(pid, start):
            status = "paused" if self.frozen() else "running"
            return State(status, pid, start, number, started_at=started, shim_alive=shim)
        # The shim may have written the exit between our two looks.
        ended = self.exit_json()
        if ended and int(ended["run"]) >= number:
            return self._ended(number, started, ended)
        return State("exited", run=number, exit_code=KILLED, started_at=started, finished_at=started)

    def _ended(self, number: int, started: str, ended: dict[str, Any]) -> State:
        status = "restarting" if self._restart_pending(int(ended["code"])) else "exited"
        failed = self.record.get("StartError")
        code = failed["ExitCode"] if failed else int(ended["code"])
        error = failed["Error"] if failed else str(ended.get("error") or "")
        oom, finished = bool(ended.get("oom_killed")), str(ended["finished_at"])
        return State(status, 0, 0, number, code, error, oom, started, finished)

    def _restart_pending(self, code: int) -> bool:
        """Whether the restart policy is at work: it wants another run, and what is due after the last is not yet done."""
        return self.restart_due(code) and (self.engine.paths.run_dir(self.id) / "after-exit").exists()

    def restart_due(self, code: int) -> bool:
        """Whether the restart policy wants another run after an exit with `code`."""
        policy = self.host_config["RestartPolicy"]
        if self.record["ManuallyStopped"]:
            return False
        if policy["Name"] in ("always", "unless-stopped"):
            return True
        if policy["Name"] != "on-failure" or code == 0:
            return False
        most = policy["MaximumRetryCount"]
        return not most or bool(self.record["RestartCount"] < most)


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def read_record(directory: Path) -> Record | None:
    """config.json in a container's folder; None if there is none. An engine wrote it: what is in it was checked then."""
    return cast("Record | None", read_json(directory / "config.json"))


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a state file; None if there is no such file."""
    try:
        value = json.loads(read_small(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    return value if isinstance(value, dict) else None


def same_file(fd: int, path: Path) -> bool:
    """Whether `fd` is still what is at `path`."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return (ours.st_dev, ours.st_ino) == (there.st_dev, there.st_ino)

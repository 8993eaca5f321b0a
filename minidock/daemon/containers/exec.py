"""``exec``: one more process in a running container. Made (`exec_create`), then started, as the Engine API has it."""

from __future__ import annotations

import json
import os
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from minidock.daemon.base import timestamps
from minidock.daemon.base.verb import verb
from minidock.daemon.containers.resize import check_size
from minidock.daemon.record import execs
from minidock.daemon.record.container import Container, State, read_json
from minidock.daemon.record.execs import Exec
from minidock.daemon.record.names import lookup
from minidock.daemon.request import remap, security_opt, spec, texts
from minidock.errors import Conflict, ContainerNotFound, InvalidParameter, StartError
from minidock.execdriver.config import ExecConfig, Process, Rlimit
from minidock.execdriver.shims import LogConfig, ShimConfig, parse_keys
from minidock.linux import files

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.request.wire import ExecConfig as AskedExec
    from minidock.daemon.request.wire import IdResponse


@verb
def exec_create(engine: Engine, ref: str, exec_config: AskedExec) -> IdResponse:
    """Check an Engine API ``ExecConfig`` (Cmd, Env, User, WorkingDir, Tty, Privileged, AttachStdin, …); returns ``{"Id"}``.

    Raises ContainerNotFound, Conflict (it does not run, or is paused), InvalidParameter.
    """
    if not exec_config.get("Cmd"):
        raise InvalidParameter("No exec command specified")
    directory = exec_config.get("WorkingDir") or ""
    texts.check("Config", exec_config)
    texts.fits(exec_config["Cmd"], exec_config.get("Env") or ())
    texts.short("User", exec_config.get("User") or "")
    texts.short("WorkingDir", directory)
    if directory and not directory.startswith("/"):
        raise InvalidParameter(f"the working directory '{directory}' is invalid, it needs to be an absolute path")
    for entry in exec_config.get("Env") or ():
        if not entry or entry.startswith("="):
            raise InvalidParameter(f"invalid environment variable: {entry}")
    if exec_config.get("DetachKeys"):
        parse_keys(exec_config["DetachKeys"])
    container = lookup(engine, ref)
    state = runs(container)
    exec = Exec(os.urandom(32).hex(), container.id, state.run, exec_config)
    execs.save(engine, exec)
    execs.forget_ended(engine)
    return {"Id": exec.id}


def runs(container: Container) -> State:
    """The state of a container that can take an exec. Raises Conflict in docker's words."""
    state = container.state()
    if state.status == "paused":
        raise Conflict(f"Container {container.id} is paused, unpause the container before exec")
    if state.status == "restarting":
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    if not state.running:
        raise Conflict(f"Container {container.id} is not running")
    return state


@verb
def exec_start(
    engine: Engine,
    exec_id: str,
    *,
    detach: bool = False,
    tty: bool = False,  # noqa: ARG001
    detach_keys: str = "",
) -> socket.socket | None:
    """Start it. Returns the client's end of the attach stream (raw with a tty, else 8-byte frames); None with `detach`.

    `tty` is docker's and has no say: whether there is one was settled when the exec was made. The caller closes the socket;
    the process goes on without it. Raises ExecNotFound, Conflict (started before, or the container has stopped), StartError.
    """
    exec = execs.load(engine, exec_id)
    container = _container(engine, exec)
    with ExitStack() as undo, files.flock(exec.path(engine, "lock")):
        if exec.path(engine, "run.json").exists() or exec.path(engine, "exit.json").exists():
            raise Conflict(f"Error: Exec command {exec_id} is already running")
        state = runs(container)
        ours = theirs = None
        if not detach:
            ours, theirs = (undo.enter_context(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
        config = configure(engine, container, state, exec)
        try:
            running = engine.execdriver.exec(
                config, shim_config(engine, exec, detach_keys or exec.config.get("DetachKeys") or ""), attach=theirs
            )
        except StartError as error:
            note_failure(engine, exec, error)
            raise
        running.close()
        undo.pop_all()
    return ours


def _container(engine: Engine, exec: Exec) -> Container:
    try:
        return Container.load(engine, exec.container)
    except ContainerNotFound:
        raise Conflict(f"Container {exec.container} is not running") from None


def configure(engine: Engine, container: Container, state: State, exec: Exec) -> ExecConfig:
    """libcontainer's `ExecConfig`: the container's environment, user and security, where the exec says nothing else."""
    from minidock.execdriver.security import capabilities

    asked, config, host_config = exec.config, container.config, container.host_config
    privileged = bool(asked.get("Privileged")) or bool(host_config.get("Privileged"))
    caps, _ = capabilities(host_config.get("CapAdd") or (), host_config.get("CapDrop") or (), privileged)
    security = security_opt.parse(host_config.get("SecurityOpt") or ())
    limits = host_config.get("Ulimits") or ()
    process = Process(
        args=tuple(asked["Cmd"]),
        env=spec.environment({**config, "Tty": bool(asked.get("Tty"))}, asked.get("Env") or []),
        cwd=asked.get("WorkingDir") or config.get("WorkingDir") or "/",
        user=asked.get("User") or config.get("User") or "",
        groups=tuple(str(group) for group in host_config.get("GroupAdd") or ()),
        tty=bool(asked.get("Tty")),
        rows=(asked.get("ConsoleSize") or (0, 0))[0],
        cols=(asked.get("ConsoleSize") or (0, 0))[1],
        capabilities=caps,
        no_new_privileges=security.no_new_privileges,
        seccomp=security_opt.seccomp(engine.paths.seccomp, security, caps.bounding, privileged),
        apparmor="" if privileged else security.apparmor,
        rlimits=tuple(Rlimit(limit["Name"], limit.get("Soft", 0), limit.get("Hard", 0)) for limit in limits),
    )
    try:
        remapped = remap.in_user_namespace(state.pid)
    except FileNotFoundError:  # it has ended since we looked
        raise Conflict(f"Container {container.id} is not running") from None
    return ExecConfig(container.id, state.pid, state.pid_start, process, container.cgroup, remapped)


def shim_config(engine: Engine, exec: Exec, detach_keys: str) -> ShimConfig:
    """The exec's shim: no log, and nothing to do after the exit."""
    return ShimConfig(
        state_dir=str(engine.paths.exec),
        socket=str(exec.path(engine, "sock")),
        log=LogConfig("none"),
        open_stdin=bool(exec.config.get("AttachStdin")),
        stdin_once=True,
        attach=tuple(name for name in ("stdin", "stdout", "stderr") if exec.config.get(f"Attach{name.capitalize()}")),
        detach_keys=detach_keys,
        exec_id=exec.id,
        durable=False,
    )


def note_failure(engine: Engine, exec: Exec, error: StartError) -> None:
    """inspect shows the exit code of an exec that could not be started, as docker does (126, 127)."""
    code = {125: 126}.get(error.exit_code, error.exit_code)  # docker knows no 125 here (daemon/exec.go)
    end = {"run": 1, "code": code, "oom_killed": False, "error": error.explanation, "finished_at": timestamps.now()}
    files.write_atomic(exec.path(engine, "exit.json"), json.dumps(end), durable=False)


@verb
def exec_inspect(engine: Engine, exec_id: str) -> dict[str, Any]:
    """The Engine API's answer about an exec. Raises ExecNotFound."""
    exec = execs.load(engine, exec_id)
    running = execs.running(engine, exec)
    ended = read_json(exec.path(engine, "exit.json"))
    run = running or read_json(exec.path(engine, "run.json")) or {}
    lost = bool(run) and not running and ended is None
    config = exec.config
    return {
        "ID": exec.id,
        "Running": running is not None,
        "ExitCode": int(ended["code"]) if ended else 137 if lost else None,
        "ProcessConfig": {
            "tty": bool(config.get("Tty")),
            "entrypoint": config["Cmd"][0],
            "arguments": list(config["Cmd"][1:]),
            "privileged": bool(config.get("Privileged")),
            "user": config.get("User") or "",
        },
        "OpenStdin": bool(config.get("AttachStdin")),
        "OpenStderr": bool(config.get("AttachStderr")),
        "OpenStdout": bool(config.get("AttachStdout")),
        "CanRemove": False,
        "ContainerID": exec.container,
        "DetachKeys": config.get("DetachKeys") or "",
        "Pid": int(run["pid"]) if running else 0,
    }


@verb
def exec_resize(engine: Engine, exec_id: str, rows: int, cols: int) -> None:
    """Set the size of the exec's pty. Raises ExecNotFound, Conflict (it does not run)."""
    check_size(rows, cols)
    exec = execs.load(engine, exec_id)
    if execs.running(engine, exec) is None:
        raise Conflict(f"Exec {exec_id} is not running")
    engine.execdriver.resize(str(exec.path(engine, "sock")), rows, cols)


@verb
def exec_forget(engine: Engine, exec_id: str) -> None:
    """Remove an exec's record, for the only one who knows of it and has its exit code. Safe to repeat."""
    execs.forget_one(engine, exec_id)


@verb
def exec_wait(engine: Engine, exec_id: str, timeout: float | None = None) -> int:
    """Block until a started exec has ended; its exit code. Raises ExecNotFound, TimeoutError."""
    exec = execs.load(engine, exec_id)
    ended = engine.execdriver.wait(str(exec.path(engine, "sock")), timeout)
    if ended is not None:
        return ended.code
    return int((read_json(exec.path(engine, "exit.json")) or {"code": 137})["code"])

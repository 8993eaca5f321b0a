"""``start``: from a record to a running process. `start_locked` is the whole of it, step by step.

What it makes, in this order, is taken back in the other when a step fails: the run directory, the endpoint, the shim with all
that is the container's (cgroup, namespaces, mounts: the driver's own undo). Before the driver's "started" nothing has
happened that lasts; after it nothing is left that could fail.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

from minidock.daemon.base import proc
from minidock.daemon.base.rmtree import remove_tree
from minidock.daemon.base.verb import verb
from minidock.daemon.containers.create import remapped
from minidock.daemon.exits import due
from minidock.daemon.exits.owners import Owned
from minidock.daemon.exits.settle import settle
from minidock.daemon.record import cgroup_parent, network, records, removal
from minidock.daemon.record.container import Container, State
from minidock.daemon.record.names import lookup
from minidock.daemon.record.pending import Attachment
from minidock.daemon.request import devices, remap, security_opt, spec, validate
from minidock.errors import APIError, Conflict, NotModified, StartError, SystemFault
from minidock.execdriver.config import Config, Mount
from minidock.execdriver.shims import LogConfig, ShimConfig
from minidock.linux import trace

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def start(engine: Engine, ref: str, *, attach: socket.socket | None = None, own: bool = False) -> Owned | None:
    """Start a container. `attach` is the shim's end of a socketpair, attached from before the first byte (closed here).

    With `own` the caller becomes the owner of the exit, and must wait for it with `Exits.finish`. Without, this engine looks
    after the exit as long as it lives, and the shim after that.
    Raises ContainerNotFound, NotModified (it runs), Conflict, StartError and its children.
    """
    with ExitStack() as stack:
        if attach is not None:
            stack.callback(attach.close)
        container = lookup(engine, ref)
        try:
            watch = None if own else stack.enter_context(engine.exits.watcher(container.id))
            with container.locked():
                owned = start_locked(engine, container, attach)
        except (APIError, MemoryError):
            # nobody else would remove it: there is no exit to come (unless it runs, which is one of the reasons to refuse)
            if container.host_config.get("AutoRemove") and not container.state().active:
                removal.remove(engine, container, volumes=True)
            raise
        if watch is None:
            return owned
        watch(owned)
    return None


def start_locked(engine: Engine, container: Container, attach: socket.socket | None = None) -> Owned:
    """Start a container whose lock the caller holds. A failure is written into its record, when all else is taken back."""
    state = container.state()
    refuse(state)
    try:
        return _start(engine, container, state, attach)
    except OSError as error:
        fault = StartError.from_oserror("start", error)
        note_failure(container, fault)
        raise fault from error
    except SystemFault as error:
        note_failure(container, error)
        raise


def _start(engine: Engine, container: Container, state: State, attach: socket.socket | None) -> Owned:
    settle(engine, container, state)
    pending = None if attach else engine.pending.take(container.id)
    sock = attach or (pending.sock if pending else None)
    with ExitStack() as undo:
        if pending:
            undo.callback(pending.sock.close)
        note_start(container)
        make_run_directory(engine, container, undo)
        cgroup_parent.prepare(engine, container)
        undo.callback(network.release, engine, container)
        endpoint = network.allocate(engine, container)
        etc = network.write_files(engine, container, endpoint)
        config = configure(engine, container, etc)
        shim = shim_config(engine, container, state.run + 1, pending)
        join = engine.networks.driver(network.mode_of(container)).join
        on_created = (lambda pid: join(endpoint, pid)) if endpoint.address else None
        undo.callback(end_run, engine, container)
        running = engine.execdriver.start(config, shim, attach=sock, on_created=on_created, lock=container.lock)
        undo.pop_all()
    return Owned(container.id, state.run + 1, running)


def refuse(state: State) -> None:
    """What cannot be started, in docker's words."""
    if state.status == "paused":
        raise Conflict("cannot start a paused container, try unpause instead")
    if state.running:
        raise NotModified("container is already running")


def make_run_directory(engine: Engine, container: Container, undo: ExitStack) -> None:
    """RUN/<id>: while it is there, this run's traces are not yet all removed."""
    directory = engine.paths.run_dir(container.id)
    undo.callback(remove_tree, directory)
    with trace.step("mkdir", directory):
        directory.mkdir(mode=0o700, exist_ok=True)
    if due.leaves_work(container):
        with trace.step("write", due.mark(engine, container)):
            due.mark(engine, container).touch(mode=0o600)


def end_run(engine: Engine, container: Container) -> None:
    """Undo of a start that failed on our side when the shim had already said "started", or whose starter was killed."""
    running = engine.execdriver.own(engine.paths.shim_socket(container.id))
    if running is None:
        removal.remove_cgroup(container)
        return
    with closing(running), suppress(SystemFault):  # a shim that takes the start back by itself says why in the place of an exit
        proc.signal(running.started.pid, running.started.pid_start, signal.SIGKILL)
        running.wait()
        running.release()


def configure(engine: Engine, container: Container, etc: tuple[Mount, ...]) -> Config:
    """Gather the facts that the record does not have, and build libcontainer's `Config`."""
    from minidock.execdriver import cgroups
    from minidock.execdriver.security import capabilities

    host_config = container.host_config
    security = security_opt.parse(host_config.get("SecurityOpt") or ())
    privileged = bool(host_config.get("Privileged"))
    caps, _ = capabilities(host_config.get("CapAdd") or (), host_config.get("CapDrop") or (), privileged)
    root = engine.layers.root(container.id).replace(volatile=bool(host_config.get("AutoRemove")))
    nodes, rules = devices.asked(host_config)
    uid_map, gid_map = remap.id_maps(engine.userns_remap) if remapped(engine, host_config) else ((), ())
    trees = cgroups.hierarchies()
    facts = spec.Facts(
        root=root,
        capabilities=caps,
        cgroup_path=container.cgroup,
        cgroup_version=cgroups.version(trees),
        joined=joined(engine, container),
        seccomp=security_opt.seccomp(engine.paths.seccomp, security, caps.bounding, privileged),
        settings=cgroups.settings(host_config, trees),
        etc=etc,
        devices=nodes,
        device_rules=rules,
        uid_map=uid_map,
        gid_map=gid_map,
    )
    return spec.build(container.record, facts)


def joined(engine: Engine, container: Container) -> tuple[tuple[str, int], ...]:
    """(namespace, host pid) of the containers whose namespaces this one shares. They must run.

    A namespace gives rights only to those in the user namespace that owns it, so that one is shared along, as docker does
    (moby ``WithNamespaces``).
    """
    modes = {"net": "NetworkMode", "ipc": "IpcMode", "pid": "PidMode"}
    found = []
    for kind, key in modes.items():
        word, _, id = str(container.host_config.get(key) or "").partition(":")
        if word != "container":
            continue
        other = Container.load(engine, id).state()
        if not other.running:
            what = {"net": "network", "ipc": "IPC", "pid": "PID"}[kind]
            raise Conflict(f"cannot join {what} of a non running container: {id}")
        found.append((kind, other.pid))
    if found and remapped(engine, container.host_config):
        owner = found[0][1]
        if not remap.in_user_namespace(owner):
            raise Conflict("cannot join a container that runs in the host's user namespace when user namespaces are enabled")
        found.append(("user", owner))
    return tuple(found)


def shim_config(engine: Engine, container: Container, run: int, attached: Attachment | None) -> ShimConfig:
    """What the shim needs besides the container's config; `attached` is the client that waited for the start."""
    config, options = container.config, container.host_config["LogConfig"].get("Config") or {}
    size = validate.parse_size(str(options.get("max-size", "-1"))) or 0
    path = container.log_path
    log = LogConfig("json-file", path, size, int(options.get("max-file", 1))) if path else LogConfig("none")
    return ShimConfig(
        state_dir=str(container.directory),
        socket=engine.paths.shim_socket(container.id),
        run=run,
        log=log,
        open_stdin=bool(config.get("OpenStdin")),
        stdin_once=bool(config.get("StdinOnce")),
        after_exit=engine.paths.exit_entry(container.id, run),
        after_exit_mark=str(due.mark(engine, container)),
        durable=not container.host_config.get("AutoRemove"),
        attach=attached.streams() if attached else ("stdin", "stdout", "stderr"),
        detach_keys=attached.detach_keys if attached else "",
        records=str(engine.paths.records),
        attributes=records.attributes(container),
    )


def note_start(container: Container) -> None:
    """A new start makes earlier failures and stops history."""
    if container.record.pop("StartError", None) or container.record["ManuallyStopped"]:
        container.record["ManuallyStopped"] = False
        container.save()


def note_failure(container: Container, error: SystemFault) -> None:
    """inspect shows why the last start failed, as docker's does."""
    code = {125: 128}.get(error.exit_code, error.exit_code)  # docker records 128 for a start that failed in the engine
    container.record["StartError"] = {"ExitCode": code, "Error": error.explanation}
    if os.path.isdir(container.directory):
        container.save()

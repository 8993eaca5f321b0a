"""One more process in a running container: ``docker exec``.

::

    parent (the exec's shim)                              child
    ────────────────────────                              ─────
    pidfd of the container's init, its start time checked  ·
    into its pid namespace, for a moment                   ·
    clone3(pidfd, into its cgroup) ─────────────────────> born as a process of the container, but with our view
    back into our own                                     joins the other cgroups (v1)
                                                          setns(pidfd, all that differ): its root, its users, its network
    ready() <──────────────────────────── "ready" ─────── streams, who it is, where it is; waits
    tell(GO) ── GO ─────────────────────────────────────> seccomp, capabilities, execve

The child is not dumpable before it enters, so that nobody inside can reach through /proc/PID into our descriptors.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from typing import NamedTuple, NoReturn

from minidock.errors import StartError
from minidock.libcontainer import cgroups, environment, init, sync, userns
from minidock.libcontainer import stdio as streams
from minidock.libcontainer.birth import At, adjust_oom_score, adopt, borrow, read_program, stepping
from minidock.libcontainer.config import ExecConfig
from minidock.libcontainer.container import InitProcess, Stdio
from minidock.linux import namespaces, process, trace


class _Job(NamedTuple):
    config: ExecConfig
    stdio: Stdio
    sock: socket.socket
    parents: socket.socket
    pidfd: int
    join: int
    seccomp: bytes
    cgroup: cgroups.Manager | None
    tracer: trace.Tracer | None


def create_exec(config: ExecConfig, stdio: Stdio, tracer: trace.Tracer | None = None, *, sibling: bool = False) -> InitProcess:
    """Start a process in the container whose init is ``config.pid``; like `container.create` in all else.

    Raises StartError: among others when that process is gone, or its pid is another's by now.
    """
    with ExitStack() as undo, stepping("exec") as at:
        births = undo.enter_context(ExitStack())
        pidfd = _open_container(config, births, at)
        seccomp = read_program(config.process.seccomp, at)
        at("join namespaces", f"/proc/{config.pid}/ns")
        join = _different(config.pid)
        group = cgroups.manager(config.cgroup_path) if config.cgroup_path else None
        ours, theirs = sync.pair(undo)
        job = _Job(config, stdio, theirs, ours, pidfd, join & ~namespaces.CLONE_NEWPID, seccomp, group, tracer)
        fd = group.fd() if group else None
        if fd is not None:
            births.callback(os.close, fd)
        with ExitStack() as back:
            if join & namespaces.CLONE_NEWPID:
                borrow("pid", f"/proc/{config.pid}/ns/pid", births, back)
            at("clone3")
            born = process.clone3(lambda: _main(job), process.CLONE_PARENT if sibling else 0, fd)
        births.close()
        theirs.close()
        process_ = adopt(*born, ours, undo)
        if config.user_namespace:
            streams.give(stdio.fds(), userns.root_of(config.pid))
        adjust_oom_score(process_.pid, config.process.oom_score_adj, process_.warnings)
        process_.keep(undo.pop_all())
    return process_


def _open_container(config: ExecConfig, births: ExitStack, at: At) -> int:
    """A pidfd of the container's init. Only what is checked *after* it was opened is about the same process."""
    at("find container", f"/proc/{config.pid}")
    try:
        pidfd = process.pidfd_open(config.pid)
        births.callback(os.close, pidfd)
        same = process.start_time(config.pid) == config.pid_start
    except (ProcessLookupError, FileNotFoundError):
        same = False
    if not same:
        raise StartError(f"Container {config.container_id}", detail="is not running")
    return pidfd


def _different(pid: int) -> int:
    """The flags of those namespaces of `pid` that are not ours already. Joining our own again could only fail: a process
    in a container's user namespace has no rights over the host's network (setns(2))."""
    flags = 0
    for kind, flag in namespaces.FLAG.items():
        if namespaces.identity(kind, pid) != namespaces.identity(kind):
            flags |= flag
    return flags


def _main(job: _Job) -> NoReturn:
    """The child, as `init.main`."""
    tracer = trace.Tracer("init", job.tracer.plan) if job.tracer else None
    trace.install(tracer)
    child = sync.Child(job.sock, tracer)
    try:
        job.parents.close()
        init.start(child)
        _enter(job, child)
        who = init.prepare(job.config.process, child)
        child.say("ready")
        child.wait(sync.GO)
        init.become(job.config.process, who, job.seccomp, child)
    except BaseException as e:  # noqa: BLE001  this is the end of the process: whatever it was, the parent must hear of it
        child.fail(e)
    os._exit(1)


def _enter(job: _Job, child: sync.Child) -> None:
    """From our view to the container's."""
    child.at("join cgroup", job.config.cgroup_path)
    if job.cgroup:
        job.cgroup.join_self()
    child.at("session keyring")
    environment.new_keyring(job.config.container_id)
    environment.set_apparmor(job.config.process.apparmor, child)
    child.at("join namespaces", f"/proc/{job.config.pid}/ns")
    namespaces.setns(job.pidfd, job.join)
    if job.join & namespaces.CLONE_NEWUSER:
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    what, fds = job.config.process, job.stdio.fds()
    if what.tty:
        child.at("open console", "/dev/pts/ptmx")
        root = os.open("/", os.O_PATH | os.O_CLOEXEC)
        slave = streams.open_console(root, job.stdio.console, what.rows, what.cols)
        fds = (slave, slave, slave)
    init.settle(fds, what.tty, child)

"""The child's side, from birth to execve: what happens *inside*, one numbered step after the other. Read `_set_up`, `become`.

Rules of this file. Everything was imported before; nothing is imported, logged or allocated in bulk here, since a forked
interpreter pays for each page it touches. Nothing of the host is used once its root is gone. An error is told to the parent
with the step it happened at, and ends the process; `main` never returns.

Our own executable is protected on two sides. Until execve this process is not dumpable, so that nobody in the container can
open its /proc/PID/exe or fd (runc's CVE-2016-9962). And the zygote is executed from a descriptor that can never be opened
for writing (``linux/executable.py``), so that a command which is a script for ``#!/proc/self/exe`` gets nothing it could
write to (CVE-2019-5736).
"""

from __future__ import annotations

import os
import socket
from typing import NamedTuple, NoReturn

from minidock.errors import StartError
from minidock.libcontainer import capabilities, cgroups, command, environment, reaper, rootfs, stdio, sync, user
from minidock.libcontainer.config import HOST, NEW, Config, Process
from minidock.libcontainer.operations import Operation, PivotRoot, Root
from minidock.linux import namespaces, process, security, trace


class Job(NamedTuple):
    """What init needs, prepared by the parent (container.py)."""

    config: Config
    stdio: stdio.Stdio
    sock: socket.socket
    parents: socket.socket
    seccomp: bytes
    cgroup: cgroups.Manager | None
    operations: list[Operation]
    root: Root
    tracer: trace.Tracer | None


def main(job: Job) -> NoReturn:
    """Be the container's init. Ends in execve or exit status 1."""
    tracer = trace.Tracer("init", job.tracer.plan) if job.tracer else None
    trace.install(tracer)
    child = sync.Child(job.sock, tracer)
    try:
        job.parents.close()  # or we would never see that the parent is gone
        start(child)
        who = _set_up(job, job.operations, job.root, child)
        child.say("ready")
        child.wait(sync.GO)
        become(job.config.process, who, job.seccomp, child, init=job.config.init)
    except BaseException as e:  # noqa: BLE001  this is the end of the process: whatever it was, the parent must hear of it
        child.fail(e)
    os._exit(1)


def start(child: sync.Child) -> None:
    """Cut what ties us to the parent, apart from the socket."""
    child.at("start init")
    process.set_parent_death_signal(9)  # no container without its shim
    security.set_dumpable(False)
    process.reset_signals()
    os.setsid()
    os.umask(0)  # modes of nodes are meant as written


def _set_up(job: Job, operations: list[Operation], root: Root, child: sync.Child) -> user.User:
    """Everything that needs the host's view or root's rights."""
    config, what = job.config, job.config.process
    # 1. Into our cgroups, while we are root outside (the unified tree we were born in). A go-between into a user namespace
    # has joined already, and we were born where it was.
    child.at("join cgroup", config.cgroup.path if config.cgroup else "")
    if job.cgroup and config.namespaces.user in (HOST, NEW):
        job.cgroup.join_self()
    # 2. With a user namespace: wait for its maps, then be its root.
    if config.namespaces.user != HOST:
        child.at("user namespace")
        if config.namespaces.user == NEW:
            child.wait(sync.MAPS)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    # 3. The cgroup namespace begins where we are *now*; at the clone it would have begun in the parent's cgroup.
    if config.namespaces.cgroup == NEW:
        child.at("unshare cgroup namespace")
        namespaces.unshare(namespaces.CLONE_NEWCGROUP)
    # 4. A keyring of our own, so that the login's keys are out of reach.
    child.at("session keyring")
    environment.new_keyring(config.id)
    # 5. Names, and the kernel's switches, through the host's /proc: it is not the image's.
    if config.namespaces.uts != HOST:
        child.at("set host name", config.hostname)
        environment.set_names(config.hostname, config.domainname)
    environment.set_sysctls(config.sysctl, child)
    environment.set_apparmor(what.apparmor, child)
    # 6. The root file system, up to the last step.
    rootfs.carry_out(operations[:-1], root, child)
    # 7. The terminal, from the container's own devpts.
    fds = job.stdio.fds()
    if what.tty:
        child.at("open console", "/dev/pts/ptmx")
        slave = stdio.open_console(root.fd, job.stdio.console, what.rows, what.cols)
        stdio.bind_console(root.fd, slave)
        fds = (slave, slave, slave)
    # 8. The host's tree goes.
    assert isinstance(operations[-1], PivotRoot)
    rootfs.carry_out(operations[-1:], root, child)
    # 9. Streams, terminal, and no other descriptor.
    settle(fds, what.tty, child)
    # 10. Who we will be, and where.
    return prepare(what, child)


def settle(fds: tuple[int, int, int], tty: bool, child: sync.Child) -> None:
    """0, 1 and 2 become `fds`, with a `tty` our controlling terminal; every other descriptor but the socket is closed."""
    child.at("set up stdio")
    stdio.install(fds, tty)
    kept = child.sock.fileno()
    os.umask(0o022)
    process.close_range(3, kept - 1)
    process.close_range(kept + 1)


def prepare(what: Process, child: sync.Child) -> user.User:
    """What can be checked before the go: the user, the working directory, the command."""
    child.at("look up user", what.user)
    who = user.lookup(what.user, what.groups, user.read_database("/etc/passwd"), user.read_database("/etc/group"))
    stdio.give((0, 1, 2), who.uid)
    environment.change_directory(what.cwd, child)
    environment.set_rlimits(what.rlimits, child)
    command.find(what.args[0], environment.search_path(what.env))
    return who


def become(what: Process, who: user.User, seccomp: bytes, child: sync.Child, *, init: bool = False) -> NoReturn:
    """Give up what the process shall not have, and be the command.

    Without no_new_privs the filter needs CAP_SYS_ADMIN to be installed and so comes before the capabilities fall; with it, it
    comes last. `init`: stay as a reaping pid 1 and let a child be the command.
    """
    path = command.find(what.args[0], environment.search_path(what.env))
    env = environment.with_home(what.env, who.home)
    child.at("install seccomp filter")
    if seccomp and not what.no_new_privileges:
        security.seccomp_set_filter(seccomp)
    child.at("set capabilities and user", what.user)
    capabilities.apply(what.capabilities, who.uid, who.gid, who.groups)
    process.set_parent_death_signal(9)  # the change of user cleared it
    security.set_dumpable(False)
    if what.no_new_privileges:
        child.at("no_new_privs")
        security.set_no_new_privs()
        if seccomp:
            child.at("install seccomp filter")
            security.seccomp_set_filter(seccomp)
    if init:
        child.at("fork behind init")
        reaper.stay_behind(child.sock, what.tty)
    child.at("exec")
    child.say("exec")
    try:
        process.execve(path, what.args, env)
    except OSError as e:
        raise command.refused(what.args[0], e) from e
    raise StartError("exec", path)  # for the type checker: an execve that returns has raised

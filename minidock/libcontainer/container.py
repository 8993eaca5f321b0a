"""The parent's side of starting a container: everything that must happen outside, before and around the child.

::

    parent (the starter)                                  child (pid 1, init.py)
    ────────────────────                                   ──────────────────────
    cgroup made                                            ·
    root planned; made as a detached mount, binds opened   ·
    into the namespaces to join, for a moment              ·
    clone3(new namespaces, pidfd, into cgroup) ─────────> born
    back into our own                                     cuts what ties it to us, joins the other cgroups (v1)
    uid_map, gid_map ── MAPS ───────────────────────────> becomes 0 of the user namespace
    oom_score_adj                                         mounts, pivot_root, who it is, where it is
    ready() <──────────────────────────── "ready" ─────── waits
         (the network is put in by others)                 ·
    tell(GO) ── GO ─────────────────────────────────────> seccomp, capabilities
         <─────────────────── "exec", then end of file ── execve
    wait on pidfd, destroy()

The detached mounts hang on descriptors that the child inherits and attaches; no mount table outside ever shows them. They, and
all that can be, are made before the clone: after it, each page that either side writes to must be copied first (2 µs).

Namespaces of *other* containers are entered by the parent for the moment of the clone, so that the child is simply born in
them: setns(2) for pid and time concerns only children anyway, and one rule for all kinds spares the second fork that
runc needs. All undo stands beside what it undoes, on one ExitStack; `destroy` runs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NoReturn

from minidock.libcontainer import cgroups, init, rootfs, rootmount, sync, userns
from minidock.libcontainer.birth import At, adjust_oom_score, adopt, borrow, open_source, read_program, stepping
from minidock.libcontainer.birth import InitProcess as InitProcess
from minidock.libcontainer.config import HOST, NEW, Config
from minidock.libcontainer.operations import Operation, Root
from minidock.libcontainer.stdio import Stdio as Stdio
from minidock.libcontainer.stdio import give
from minidock.linux import namespaces, process, trace


def create(
    config: Config,
    stdio: Stdio,
    tracer: trace.Tracer | None = None,
    *,
    sibling: bool = False,
    trees: Sequence[cgroups.Hierarchy] = (),
) -> InitProcess:
    """Start the init of a new container; it sets itself up while we return.

    The caller keeps its own copies of `stdio`'s descriptors and must be single-threaded. With a `tracer`, the child records
    its steps in the same way (and with the same fault plan). A `sibling` becomes the child of our parent, which then reaps it
    and with which it dies (CLONE_PARENT). `trees` are the mounted cgroup trees, if the caller has looked. Raises StartError
    with step and path; nothing is left then.
    """
    with ExitStack() as undo, stepping("create container") as at:
        group = _cgroup(config, trees, undo, at)
        seccomp = read_program(config.process.seccomp, at)
        warnings: list[str] = []
        ours, theirs = sync.pair(undo)
        with ExitStack() as births:  # what only the child needs: closed here as soon as it is born
            operations = rootfs.plan(config, cgroups.directories(group))
            root = _open_mounts(config, operations, births, warnings, at)
            job = init.Job(config, stdio, theirs, ours, seccomp, group, operations, root, tracer)
            at("clone3")
            fd = group.fd() if group else None
            if fd is not None:
                births.callback(os.close, fd)
            with _born_in(config, births) as flags:
                pid, pidfd = _give_birth(job, flags | (process.CLONE_PARENT if sibling else 0), fd)
        theirs.close()
        container = adopt(pid, pidfd, ours, undo)
        container.warnings.extend(warnings)
        if config.namespaces.user != HOST:
            give(stdio.fds(), userns.host_id(config.uid_map, 0))
        if config.namespaces.user == NEW:
            at("write id maps", f"/proc/{pid}/uid_map")
            userns.write_maps(pid, config.uid_map, config.gid_map)
            container.tell(sync.MAPS)
        adjust_oom_score(pid, config.process.oom_score_adj, container.warnings)
        container.keep(undo.pop_all())
    return container


def _give_birth(job: init.Job, flags: int, cgroup: int | None) -> tuple[int, int]:
    """clone3, for a user namespace to join through a go-between. Returns (pid, pidfd) of init."""

    def main() -> NoReturn:
        init.main(job)

    user = job.config.namespaces.user
    if user in (HOST, NEW):
        return process.clone3(main, flags, cgroup)
    return userns.born_inside(user, main, flags, cgroup, job.cgroup.join_self if job.cgroup else None)


def _cgroup(config: Config, trees: Sequence[cgroups.Hierarchy], undo: ExitStack, at: At) -> cgroups.Manager | None:
    if config.cgroup is None:
        return None
    at("create cgroup", config.cgroup.path)
    group = cgroups.manager(config.cgroup.path, trees)
    undo.callback(group.remove)
    if config.namespaces.pid != NEW:  # then the end of init ends nobody else
        undo.callback(group.kill)
    group.create(config.cgroup)
    return group


def _open_mounts(
    config: Config, operations: list[Operation], births: ExitStack, warnings: list[str], at: At
) -> Root:  # fmt: skip
    """The detached mounts that `operations` attach; closed by `births`."""
    at("mount root", config.root.upper or config.root.source)
    tree, notices = rootmount.open_root(config.root, births, config.uid_map, config.gid_map)
    warnings += notices
    root = Root(tree, user_namespace=config.namespaces.user != HOST)
    for operation, source, recursive in rootfs.sources(operations):
        at(operation.step, source)
        root.sources[operation.path, source] = opened = open_source(source, recursive, births)
        births.callback(os.close, opened)
    return root


@contextmanager
def _born_in(config: Config, births: ExitStack) -> Iterator[int]:
    """The flags for clone3. Inside the ``with`` our next child is born in the namespaces to join, with the clocks to set."""
    asked = config.namespaces
    flags = namespaces.CLONE_NEWNS
    with ExitStack() as back:
        for kind in ("pid", "net", "ipc", "uts", "user", "cgroup", "time"):
            value, flag = getattr(asked, kind), namespaces.FLAG[kind]
            if value == HOST or (kind == "cgroup" and value == NEW):  # init unshares cgroup, once it has joined
                continue
            if kind == "user" and value != NEW:  # from a user namespace there is no way back: `born_inside`
                continue
            if value == NEW and kind != "time":
                flags |= flag
                continue
            borrow(kind, value, births, back)
            if value == NEW:
                namespaces.write_time_offsets(config.time_offsets.monotonic, config.time_offsets.boottime)
        yield flags

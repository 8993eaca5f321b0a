"""From the config to the list of operations that make the root file system, in the order in which they must happen::

    /                        overlay (or bind), attached at a stage, then pivot_root
    ├── proc                 proc, own instance; some paths masked, some read-only
    ├── dev                  tmpfs: null zero full random urandom tty, links fd stdin stdout stderr ptmx core
    │   ├── pts              devpts, own instance
    │   ├── shm              tmpfs
    │   └── mqueue           mqueue
    ├── sys                  sysfs, read-only
    │   └── fs/cgroup        v1: tmpfs with a read-only bind of each of the container's own cgroups; v2: cgroup2, read-only
    ├── etc/{hosts,hostname,resolv.conf}   binds of the files in the container's folder
    └── …                    volumes

Which of these a container has is data (`Config.mounts`, written by the daemon); how each is made is in `operations`.
Printing a plan shows the same as a shell script: ``print(*plan(config), sep="\\n")``.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from minidock.libcontainer import options as mountopts
from minidock.libcontainer.config import HOST, Config, Device, Mount
from minidock.libcontainer.nodes import MakeDevices
from minidock.libcontainer.operations import (
    STAGE,
    AttachRoot,
    BindMount,
    MakeDirectory,
    Mask,
    MountFs,
    Operation,
    PivotRoot,
    ReadOnly,
    ReadOnlyRoot,
    Root,
    SetPropagation,
    ShowCgroups,
)
from minidock.libcontainer.sync import Child
from minidock.linux import mount, trace

# What every container has in /dev (runc's specconv.AllowedDevices, docker 1.x's the same).
DEFAULT_DEVICES = (
    Device("/dev/null", "c", 1, 3),
    Device("/dev/zero", "c", 1, 5),
    Device("/dev/full", "c", 1, 7),
    Device("/dev/random", "c", 1, 8),
    Device("/dev/urandom", "c", 1, 9),
    Device("/dev/tty", "c", 5, 0),
)
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
)


def plan(config: Config, cgroups: Mapping[str, str] | None = None) -> list[Operation]:
    """All operations for `config`. `cgroups` (controller → host directory): the container's own on v1; None on v2."""
    operations: list[Operation] = [
        SetPropagation("/", config.root_propagation),
        AttachRoot(STAGE, _describe_root(config)),
    ]
    own_dev = False
    for m in config.mounts:
        own_dev = own_dev or (m.target == "/dev" and m.type == "tmpfs")
        operations.append(_mount(m, cgroups, config))
    if own_dev:  # a device of the config replaces a default of the same path
        nodes = {d.path: d for d in (*DEFAULT_DEVICES, *config.devices)}
        operations.append(MakeDevices("/dev", tuple(nodes.values()), _LINKS))
    operations += [Mask(p) for p in config.masked_paths]
    operations += [ReadOnly(p) for p in config.readonly_paths]
    if config.process.cwd != "/":
        operations.append(MakeDirectory(config.process.cwd))
    if config.readonly_root or config.root.readonly:
        operations.append(ReadOnlyRoot("/"))
    operations.append(PivotRoot("/"))
    return operations


def sources(operations: list[Operation]) -> Iterator[tuple[Operation, str, bool]]:
    """(operation, host path, with what is mounted below it) of each mount that the parent opens for the child, in order."""
    for operation in operations:
        for source, recursive in operation.sources():
            yield operation, source, recursive


def carry_out(operations: list[Operation], root: Root, child: Child) -> None:
    """Apply the operations in order. On an error `child` stands at the one that failed."""
    traced = trace.current() is not None
    for operation in operations:
        child.at(operation.step, operation.path)
        if traced:
            with trace.step(operation.step, operation):
                operation.apply(root)
        else:
            operation.apply(root)


def _describe_root(config: Config) -> str:
    root = config.root
    if root.kind == "bind":
        return f"-o bind {root.source}"
    upper = f",upperdir={root.upper},workdir={root.work}" if root.upper else ""
    return f"-t overlay -o lowerdir={':'.join(root.lower)}{upper} overlay"


def _mount(m: Mount, cgroups: Mapping[str, str] | None, config: Config) -> Operation:
    parsed = mountopts.parse(m.options)
    if m.type == "bind":
        return BindMount(m.target, m.source, parsed.recursive, parsed.set, parsed.clear, m.propagation, m.create)
    if m.type in ("cgroup", "cgroup2"):
        if cgroups is None:
            return MountFs(m.target, "cgroup2", "cgroup", parsed.flags, shared=True)
        directories = tuple(dict.fromkeys(cgroups.values()))
        path = config.cgroup.path if config.cgroup else ""
        names = tuple(posixpath.basename(d.removesuffix(path)) for d in directories)
        return ShowCgroups(m.target, directories, names, bool(parsed.flags & mount.MS_RDONLY))
    namespace = {"proc": config.namespaces.pid, "sysfs": config.namespaces.net, "mqueue": config.namespaces.ipc}
    shared = namespace.get(m.type) == HOST
    return MountFs(m.target, m.type, m.source or m.type, parsed.flags & ~mount.MS_REC, parsed.data, m.create, shared)

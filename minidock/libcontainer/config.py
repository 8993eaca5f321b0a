"""What a container is to be, as frozen, JSON-able data: the input of this package, and all it knows of a container.

As in runc's ``configs/``, this module holds values and no behaviour. The daemon builds a `Config` from an image and docker's
options; the shim receives it as JSON (`decode` reads that); init carries it out. Nothing here names an image, a tag, a
registry or a network: those are settled above, and arrive as paths, descriptors and numbers.

Paths called *host paths* are on the machine that starts the container; all others are inside the container's root.
"""

from __future__ import annotations

from minidock.frozen import Frozen

HOST = "host"
NEW = "new"


class Namespaces(Frozen):
    """One entry per namespace of namespaces(7): ``"new"``, ``"host"``, or the path of one to join (/proc/PID/ns/X).

    mnt is always new. cgroup: new means unshared after the process was placed in its cgroup. time: new means unshared and
    given `TimeOffsets` before the fork that enters it, as an OCI runtime does for ``timeOffsets``; docker has no flag for it,
    so the daemon never asks for one.
    """

    pid: str = NEW
    net: str = NEW
    ipc: str = NEW
    uts: str = NEW
    user: str = HOST
    cgroup: str = HOST
    time: str = HOST


class TimeOffsets(Frozen):
    """Seconds added to CLOCK_MONOTONIC and CLOCK_BOOTTIME in a new time namespace (time_namespaces(7))."""

    monotonic: int = 0
    boottime: int = 0


class IdMap(Frozen):
    """One line of /proc/PID/uid_map: `size` ids from `container` on are the host's from `host` on (user_namespaces(7))."""

    container: int
    host: int
    size: int


class RootMount(Frozen):
    """How the root file system comes to be; what a graph driver answers to "how do I mount this layer?".

    kind "overlay": `lower` are host paths of read-only layers, **topmost first**; `upper` and `work` host paths of the
    writable layer (both "" for a read-only view); a `volatile` one is thrown away in the end, so nothing is ever written
    through to the disk for it. kind "bind": `source` is a host directory used as it is.
    """

    kind: str
    lower: tuple[str, ...] = ()
    upper: str = ""
    work: str = ""
    source: str = ""
    readonly: bool = False
    volatile: bool = False


class Mount(Frozen):
    """One mount in the container: mount(8)'s words. `source` is a host path for type "bind".

    options are mount(8) names (ro, nosuid, noexec, nodev, rbind, size=64m, mode=1777 …); propagation is private, rprivate,
    shared, rshared, slave or rslave. `create` says what to make at `target` if nothing is there: "dir", "file" or "".
    """

    target: str
    type: str = "bind"
    source: str = ""
    options: tuple[str, ...] = ()
    propagation: str = "rprivate"
    create: str = "dir"


class Device(Frozen):
    """A device node: kind c or b, numbers, mode, owner; `path` in the container (mknod(2); a bind in a user namespace)."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    host_path: str = ""


class DeviceRule(Frozen):
    """One line of the device cgroup: allow or deny; type a, b or c; -1 is the wildcard ``*``; access of r, w, m."""

    allow: bool
    kind: str = "a"
    major: int = -1
    minor: int = -1
    access: str = "rwm"


class Cgroup(Frozen):
    """Where the container sits in every hierarchy, and what holds for it there.

    `path` is below the mount point of each hierarchy, for example ``/minidock/<full id>``. `settings` are (file name, value)
    pairs, written in order as given (``("memory.limit_in_bytes", "67108864")``): what to write is decided by
    ``cgroups/{v1,v2}`` from docker's options, so that nobody below needs arithmetic.
    """

    path: str
    devices: tuple[DeviceRule, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()


class Rlimit(Frozen):
    """One resource limit, by its name in getrlimit(2) without RLIMIT_ and in lower case; -1 is unlimited."""

    name: str
    soft: int
    hard: int


class Capabilities(Frozen):
    """Capability names without CAP_ (capabilities(7)), set by set."""

    bounding: tuple[str, ...] = ()
    effective: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    inheritable: tuple[str, ...] = ()
    ambient: tuple[str, ...] = ()


class Process(Frozen):
    """The process to run: what execve(2) gets, and who it is when it does.

    `user` is docker's ``USER[:GROUP]``, names or numbers, looked up in the container's own /etc/passwd and /etc/group;
    `groups` are further group names or numbers (--group-add). `tty` asks for a pty (of `rows` × `cols`; 0: unset).
    `seccomp` is the host path of a cached BPF program ("" for none). `apparmor` and a negative oom_score_adj are tried
    where the kernel has them; what cannot be had is a warning.
    """

    args: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = "/"
    user: str = ""
    groups: tuple[str, ...] = ()
    tty: bool = False
    rows: int = 0
    cols: int = 0
    capabilities: Capabilities = Capabilities()
    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    rlimits: tuple[Rlimit, ...] = ()
    oom_score_adj: int | None = None


class Config(Frozen):
    """A whole container. `id` is the full 64 hex digits; `init` asks for a reaping pid 1 of ours in front of the process."""

    id: str
    root: RootMount
    process: Process
    hostname: str = ""
    domainname: str = ""
    namespaces: Namespaces = Namespaces()
    time_offsets: TimeOffsets = TimeOffsets()
    uid_map: tuple[IdMap, ...] = ()
    gid_map: tuple[IdMap, ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    masked_paths: tuple[str, ...] = ()
    readonly_paths: tuple[str, ...] = ()
    readonly_root: bool = False
    root_propagation: str = "rprivate"
    sysctl: tuple[tuple[str, str], ...] = ()
    cgroup: Cgroup | None = None
    init: bool = False


class ExecConfig(Frozen):
    """One more process in a running container (`pid` is its init, `pid_start` that process's start time in clock ticks)."""

    container_id: str
    pid: int
    pid_start: int
    process: Process
    cgroup_path: str = ""
    user_namespace: bool = False

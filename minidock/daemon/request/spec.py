"""docker's options as libcontainer's `Config`: a pure function of the record and of a few facts about this start.

What `build` needs to know besides the record is in `Facts`: where the layers are, which processes' namespaces are joined,
what the kernel's cgroup version is. So the whole translation can be read, and tested, without a kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from minidock.daemon.request import defaults, security_opt
from minidock.daemon.request.merge import replace_or_append
from minidock.daemon.request.mounts import MountPoint
from minidock.execdriver.config import (
    ALL_DEVICES,
    DEVICE_RULES,
    DEVICES,
    HOST,
    NEW,
    Capabilities,
    Cgroup,
    Config,
    Device,
    DeviceRule,
    IdMap,
    Mount,
    Namespaces,
    Process,
    Rlimit,
    RootMount,
)
from minidock.frozen import Frozen

if TYPE_CHECKING:
    from minidock.daemon.request.wire import ContainerConfig, HostConfig, Record


PathList = Literal["MaskedPaths", "ReadonlyPaths"]


class Facts(Frozen):
    """What a start knows and the record does not.

    `joined` maps pid, net and ipc to the host pid of the container that is joined there. `seccomp` is the compiled profile
    ("" for none); `settings` are the cgroup files to write; `etc` the mounts of hosts, hostname and resolv.conf.
    """

    root: RootMount
    capabilities: Capabilities
    cgroup_path: str
    cgroup_version: int = 1
    joined: tuple[tuple[str, int], ...] = ()
    seccomp: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    etc: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    device_rules: tuple[DeviceRule, ...] = ()
    uid_map: tuple[IdMap, ...] = ()
    gid_map: tuple[IdMap, ...] = ()


def build(record: Record, facts: Facts) -> Config:
    """The whole container, ready for libcontainer."""
    config, host_config = record["Config"], record["HostConfig"]
    security = security_opt.parse(host_config.get("SecurityOpt") or ())
    privileged = bool(host_config.get("Privileged"))
    spaces = namespaces(config, host_config, facts)
    return Config(
        id=record["ID"],
        root=facts.root,
        process=process(record, facts, security),
        hostname=config["Hostname"] if spaces.uts == NEW else "",
        domainname=(config.get("Domainname") or "") if spaces.uts == NEW else "",
        namespaces=spaces,
        uid_map=facts.uid_map,
        gid_map=facts.gid_map,
        mounts=mounts(record, facts),
        devices=DEVICES + facts.devices,
        masked_paths=paths_of(host_config, "MaskedPaths", defaults.MASKED_PATHS, privileged, security),
        readonly_paths=paths_of(host_config, "ReadonlyPaths", defaults.READONLY_PATHS, privileged, security),
        readonly_root=bool(host_config.get("ReadonlyRootfs")),
        root_propagation=_root_propagation(record),
        sysctl=sysctls(host_config, spaces),
        cgroup=Cgroup(facts.cgroup_path, device_rules(privileged, facts), facts.settings),
        init=bool(host_config.get("Init")),
    )


def process(record: Record, facts: Facts, security: security_opt.SecurityOptions) -> Process:
    """The command, with docker's environment around the user's."""
    config, host_config = record["Config"], record["HostConfig"]
    rows, cols = host_config.get("ConsoleSize") or (0, 0)
    return Process(
        args=(record["Path"], *record["Args"]),
        env=environment(config),
        cwd=config.get("WorkingDir") or "/",
        user=config.get("User") or "",
        groups=tuple(str(group) for group in host_config.get("GroupAdd") or ()),
        tty=bool(config.get("Tty")),
        rows=rows,
        cols=cols,
        capabilities=facts.capabilities,
        no_new_privileges=security.no_new_privileges,
        seccomp=facts.seccomp,
        apparmor="" if host_config.get("Privileged") else security.apparmor,
        rlimits=tuple(Rlimit(u["Name"], u.get("Soft", 0), u.get("Hard", 0)) for u in host_config.get("Ulimits") or ()),
        oom_score_adj=host_config.get("OomScoreAdj") or None,
    )


def environment(config: ContainerConfig, extra: list[str] | None = None) -> tuple[str, ...]:
    """PATH, HOSTNAME, TERM with a terminal, then what the user's `config` has (moby ``CreateDaemonEnvironment``); `extra` is an
    exec's. Each is ``NAME=value``."""
    base = [defaults.PATH, f"HOSTNAME={config['Hostname']}"] + (["TERM=xterm"] if config.get("Tty") else [])
    return tuple(replace_or_append(base, [*(config.get("Env") or []), *(extra or [])]))


def namespaces(config: ContainerConfig, host_config: HostConfig, facts: Facts) -> Namespaces:
    """Own, the host's or another container's, one by one: `config` and `host_config` say which."""
    joined = {kind: f"/proc/{pid}/ns/{kind}" for kind, pid in facts.joined}
    network = "none" if config.get("NetworkDisabled") else host_config.get("NetworkMode") or ""
    cgroup = host_config.get("CgroupnsMode") or ("private" if facts.cgroup_version == 2 else "host")
    return Namespaces(
        pid=joined.get("pid") or (HOST if host_config.get("PidMode") == "host" else NEW),
        net=joined.get("net") or (HOST if network == "host" else NEW),
        ipc=joined.get("ipc") or (HOST if host_config.get("IpcMode") == "host" else NEW),
        uts=HOST if host_config.get("UTSMode") == "host" else NEW,
        user=joined.get("user") or (NEW if facts.uid_map else HOST),
        cgroup=NEW if cgroup == "private" else HOST,
    )


def sysctls(host_config: HostConfig, spaces: Namespaces) -> tuple[tuple[str, str], ...]:
    """In a network of its own (`spaces`) anybody may bind to low ports and, with the host's user ids, send pings (moby
    ``WithCommonOptions``, Docker 20.10); then what was asked for."""
    default: dict[str, str] = {}
    if spaces.net == NEW:
        default["net.ipv4.ip_unprivileged_port_start"] = "0"
        if spaces.user == HOST:
            default["net.ipv4.ping_group_range"] = "0 2147483647"
    return tuple(sorted({**default, **(host_config.get("Sysctls") or {})}.items()))


def mounts(record: Record, facts: Facts) -> tuple[Mount, ...]:
    """docker's default mounts, the three files of /etc, then what was asked for: the later covers the earlier."""
    host_config = record["HostConfig"]
    privileged = bool(host_config.get("Privileged"))
    points = [MountPoint.from_record(value) for value in record.get("MountPoints") or ()]
    taken = {point.destination for point in points}
    base = [defaults.PROC, defaults.DEV, defaults.DEVPTS, defaults.SYSFS, defaults.CGROUP, *_ipc_mounts(host_config, facts)]
    kept = [mount for mount in base if mount.target not in taken or mount.target == "/proc"]
    if privileged:
        kept = [_writable(mount) for mount in kept]
    mine = sorted([*facts.etc, *map(mount_of, points)], key=lambda mount: mount.target.count("/"))
    return (*kept, *mine)


def _writable(mount: Mount) -> Mount:
    options = tuple(option for option in mount.options if option != "ro")
    return Mount(mount.target, mount.type, mount.source, options, mount.propagation, mount.create)


def _ipc_mounts(host_config: HostConfig, facts: Facts) -> list[Mount]:
    """/dev/shm and /dev/mqueue belong to the ipc namespace: they are shared with it."""
    mode, joined = host_config.get("IpcMode") or "private", dict(facts.joined)
    size = host_config.get("ShmSize") or defaults.SHM_SIZE
    if mode == "host":
        # The host's message queues cannot be mounted from a user namespace that does not own them (mq_overview(7)).
        queues = [] if facts.uid_map else [defaults.MQUEUE]
        return [*queues, Mount("/dev/shm", "bind", "/dev/shm", ("rbind", "nosuid", "noexec", "nodev"))]
    if "ipc" in joined:
        other = f"/proc/{joined['ipc']}/root/dev/shm"
        return [defaults.MQUEUE, Mount("/dev/shm", "bind", other, ("bind", "nosuid", "noexec", "nodev"))]
    if mode == "none":
        return [defaults.MQUEUE]
    options = ("nosuid", "noexec", "nodev", "mode=1777", f"size={size}")
    return [defaults.MQUEUE, Mount("/dev/shm", "tmpfs", "shm", options)]


def mount_of(point: MountPoint) -> Mount:
    """`point`, one of the user's mounts, as libcontainer has it."""
    if point.kind == "tmpfs":
        return Mount(point.destination, "tmpfs", "tmpfs", point.options)
    options = ("rbind" if point.recursive else "bind", *(() if point.rw else ("ro",)))
    create = "file" if point.kind == "bind" and record_is_file(point) else "dir"
    return Mount(point.destination, "bind", point.source, options, point.propagation or "rprivate", create)


def record_is_file(point: MountPoint) -> bool:
    """Whether the source of `point` was no directory when the container was made (``create.py`` notes it in the options)."""
    return "file" in point.options


def device_rules(privileged: bool, facts: Facts) -> tuple[DeviceRule, ...]:
    """The device cgroup's list: docker's defaults and what ``--device`` adds; everything when privileged."""
    return ALL_DEVICES if privileged else DEVICE_RULES + facts.device_rules


def paths_of(
    host_config: HostConfig, key: PathList, default: tuple[str, ...], privileged: bool, security: security_opt.SecurityOptions
) -> tuple[str, ...]:
    """HostConfig's own list under `key` (an empty one counts: systempaths=unconfined), else docker's `default`, else none when
    privileged."""
    own = host_config.get(key)
    if own is not None:
        return tuple(own)
    return () if privileged or security.systempaths_unconfined else default


def _root_propagation(record: Record) -> str:
    """A shared or slave mount inside needs a root that lets mount events through (runc's rule, as docker applies it)."""
    asked = {point["propagation"] for point in record.get("MountPoints") or ()}
    if asked & {"shared", "rshared"}:
        return "rshared"
    return "rslave" if asked & {"slave", "rslave"} else "rprivate"

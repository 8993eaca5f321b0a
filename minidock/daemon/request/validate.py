"""Every check of what a user asked for, before anything is made; in docker 20.10's words.

One function per part of the request. Each takes Engine API objects (``Config``, ``HostConfig``) and raises InvalidParameter;
`validate` calls them all and returns the `Request`. What needs the engine (does that network, that image, that other
container exist?) is asked in ``create.py``.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from typing import TYPE_CHECKING, Literal, NamedTuple

from minidock.daemon.request import defaults, limits, mounts, security_opt, signals, texts
from minidock.errors import InvalidParameter, NotSupported
from minidock.execdriver.security import capabilities

if TYPE_CHECKING:
    from minidock.daemon.request.wire import ContainerConfig, HostConfig, UpdateConfig

MAX_MAJOR, MAX_MINOR = (1 << 12) - 1, (1 << 20) - 1  # include/linux/kdev_t.h
_LOG_OPTIONS = (
    "max-size",
    "max-file",
    "mode",
    "max-buffer-size",
    "labels",
    "labels-regex",
    "env",
    "env-regex",
    "tag",
    "compress",
)
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kKmMgGtTpP]?)(?:[iI]?[bB])?")


class Request(NamedTuple):
    """What was asked for, understood and found good: what the engine works with from here on, and the container's record has.

    `config` is merged with the image's, `host_config` completed and without what this machine cannot do; of that tell docker's
    `warnings`. `mounts`: parents before children.
    """

    config: ContainerConfig
    host_config: HostConfig
    mounts: tuple[mounts.MountPoint, ...]
    warnings: tuple[str, ...]


def validate(config: ContainerConfig, host_config: HostConfig, remapped: bool) -> Request:
    """Check a whole request (already merged with the image's config). `remapped`: user namespaces are the default here.

    Raises InvalidParameter, or NotSupported for what this build does not do.
    """
    texts.check("Config", config)
    texts.check("HostConfig", host_config)
    process(config)
    restart_policy(host_config)
    modes(config, host_config, remapped)
    network_conflicts(config, host_config)
    names(host_config)
    security_opt.parse(host_config.get("SecurityOpt") or ())
    devices(host_config)
    sizes(host_config)
    sysctls(host_config)
    log_config(host_config)
    unsupported(host_config)
    points = mounts.mount_points(config, host_config)
    for point in points:
        source_exists(point)
    privileged = bool(host_config.get("Privileged"))
    _, warnings = capabilities(host_config.get("CapAdd") or (), host_config.get("CapDrop") or (), privileged)
    judged = limits.check(host_config)
    return Request(config, judged.host_config, tuple(points), (*warnings, *judged.warnings))


def process(config: ContainerConfig) -> None:
    """The command in `config`, its environment, directory and signal. Raises InvalidParameter."""
    if not config.get("Entrypoint") and not config.get("Cmd"):
        raise InvalidParameter("No command specified")
    for entry in config.get("Env") or ():
        if not entry or entry.startswith("="):
            raise InvalidParameter(f"invalid environment variable: {entry}")
    texts.fits([*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())], config.get("Env") or ())
    directory = config.get("WorkingDir") or ""
    texts.short("User", config.get("User") or "")
    texts.short("WorkingDir", directory)
    if directory and not directory.startswith("/"):
        raise InvalidParameter(f"the working directory '{directory}' is invalid, it needs to be an absolute path")
    if config.get("StopSignal"):
        signals.parse(config["StopSignal"])
    if (config.get("StopTimeout") or 0) < -1:
        raise InvalidParameter(f"invalid stop timeout: {config['StopTimeout']}")
    hostname = config.get("Hostname") or ""
    if len(hostname) > 64 or not re.fullmatch(r"[A-Za-z0-9._-]*", hostname):
        raise InvalidParameter(f"invalid hostname format: {hostname}")


def restart_policy(host_config: HostConfig | UpdateConfig) -> None:
    """no, always, unless-stopped, on-failure[:max]. Raises InvalidParameter."""
    policy = host_config.get("RestartPolicy") or {}
    name, maximum = policy.get("Name") or "", policy.get("MaximumRetryCount") or 0
    if name in ("always", "unless-stopped", "no"):
        if maximum:
            raise InvalidParameter(f"maximum retry count cannot be used with restart policy '{name}'")
    elif name == "on-failure":
        if maximum < 0:
            raise InvalidParameter("maximum retry count cannot be negative")
    elif name:
        raise InvalidParameter(f"invalid restart policy '{name}'")
    if host_config.get("AutoRemove") and name not in ("", "no"):
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")


def modes(config: ContainerConfig, host_config: HostConfig, remapped: bool) -> None:
    """Which namespaces are whose, and what in `config` and `host_config` cannot go together.

    `remapped`: a user namespace is the default. Raises InvalidParameter.
    """
    ipc = host_config.get("IpcMode") or ""
    if ipc not in ("", "none", "private", "shareable", "host") and not _container(ipc):
        raise InvalidParameter(f"Invalid IPC mode: {ipc}")
    pid = host_config.get("PidMode") or ""
    if pid not in ("", "host") and not _container(pid):
        raise InvalidParameter(f"invalid PID mode: {pid}")
    uts = host_config.get("UTSMode") or ""
    if uts not in ("", "host"):
        raise InvalidParameter(f"invalid UTS mode: {uts}")
    user = host_config.get("UsernsMode") or ""
    if user not in ("", "host", "remap"):
        raise InvalidParameter(f"invalid user namespace mode: {user}")
    cgroup = host_config.get("CgroupnsMode") or ""
    if cgroup not in ("", "private", "host"):
        raise InvalidParameter(f"invalid cgroup namespace mode: {cgroup}")
    if uts == "host" and (config.get("Hostname") or config.get("Domainname")):
        raise InvalidParameter("conflicting options: hostname and the UTS mode")
    if (user == "remap" or remapped) and user != "host":
        _user_namespace_conflicts(host_config)


def _user_namespace_conflicts(host_config: HostConfig) -> None:
    if host_config.get("Privileged"):
        raise InvalidParameter(
            "privileged mode is incompatible with user namespaces.  "
            "You must run the container in the host namespace when running privileged mode"
        )
    if host_config.get("NetworkMode") == "host":
        raise InvalidParameter("cannot share the host's network namespace when user namespaces are enabled")
    if host_config.get("PidMode") == "host":
        raise InvalidParameter("cannot share the host PID namespace when user namespaces are enabled")


def _container(mode: str) -> bool:
    return mode.startswith("container:") and len(mode) > len("container:")


def network_conflicts(config: ContainerConfig, host_config: HostConfig) -> None:
    """What another container's or the host's network cannot be combined with (runconfig/hostconfig_unix.go).

    `config` has the hostname and the MAC address. Raises InvalidParameter.
    """
    mode = host_config.get("NetworkMode") or "default"
    links, host = bool(host_config.get("Links")), mode == "host"
    if mode == "container" or mode == "container:":
        raise InvalidParameter("Invalid network mode: invalid container format container:<name|id>")
    joined = mode.startswith("container:")
    conflicts = (
        (joined and config.get("Hostname"), "hostname and the network mode"),
        (joined and links, "container type network can't be used with links. This would result in undefined behavior"),
        (host and links, "host type networking can't be used with links. This would result in undefined behavior"),
        (joined and host_config.get("Dns"), "dns and the network mode"),
        (joined and host_config.get("ExtraHosts"), "custom host-to-IP mapping and the network mode"),
        ((joined or host) and config.get("MacAddress"), "mac-address and the network mode"),
        (joined and (host_config.get("PortBindings") or host_config.get("PublishAllPorts")),
         "port publishing and the container type network mode"),
        (joined and config.get("ExposedPorts"), "port exposing and the container type network mode"),
    )  # fmt: skip
    for clash, words in conflicts:
        if clash:
            raise InvalidParameter(f"conflicting options: {words}")


def names(host_config: HostConfig) -> None:
    """Name servers and extra hosts: each becomes one line of resolv.conf or hosts. Raises InvalidParameter."""
    key: Literal["DnsSearch", "DnsOptions", "ExtraHosts"]
    for key in ("DnsSearch", "DnsOptions", "ExtraHosts"):
        for entry in host_config.get(key) or ():
            if "\n" in entry or "\r" in entry:
                raise InvalidParameter(f"invalid {key}: {entry!r} has more than one line")
    for server in host_config.get("Dns") or ():
        try:
            ipaddress.ip_address(server)
        except ValueError:
            raise InvalidParameter(f"{server} is not an ip address") from None
    for entry in host_config.get("ExtraHosts") or ():
        name, separator, address = entry.partition(":")
        if not separator or not name:
            raise InvalidParameter(f'bad format for add-host: "{entry}"')
        if address == "host-gateway":
            continue
        try:
            ipaddress.ip_address(address.strip("[]"))
        except ValueError:
            raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from None


def devices(host_config: HostConfig) -> None:
    """``--device``: the node must be there, the access a part of rwm. Raises InvalidParameter."""
    for device in host_config.get("Devices") or ():
        path, access = device.get("PathOnHost") or "", device.get("CgroupPermissions") or "rwm"
        if set(access) - set("rwm") or len(set(access)) != len(access):
            raise InvalidParameter(f"invalid device mode: {access}")
        words = f'error gathering device information while adding custom device "{path}": '
        try:
            kind = os.stat(path).st_mode
        except OSError as error:
            raise InvalidParameter(words + (error.strerror or "not found").lower()) from None
        if not (stat.S_ISCHR(kind) or stat.S_ISBLK(kind) or stat.S_ISDIR(kind)):
            raise InvalidParameter(words + "not a device node")
    for rule in host_config.get("DeviceCgroupRules") or ():
        match = re.fullmatch(r"[abc] ([0-9]{1,9}|\*):([0-9]{1,9}|\*) [rwm]{1,3}", str(rule))
        if not match or int(match[1].replace("*", "0")) > MAX_MAJOR or int(match[2].replace("*", "0")) > MAX_MINOR:
            raise InvalidParameter(f"invalid device cgroup rule format: '{rule}'")


def sizes(host_config: HostConfig) -> None:
    """/dev/shm and ulimits. Raises InvalidParameter."""
    if (host_config.get("ShmSize") or 0) < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    for limit in host_config.get("Ulimits") or ():
        name, soft, hard = limit.get("Name"), limit.get("Soft", 0), limit.get("Hard", 0)
        if name not in defaults.RLIMITS:
            raise InvalidParameter(f"invalid ulimit type: {name}")
        if hard != -1 and (soft > hard or soft == -1):
            raise InvalidParameter(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")


def sysctls(host_config: HostConfig) -> None:
    """Only what belongs to a namespace that the container has for itself (runc ``configs/validate``).

    Raises InvalidParameter.
    """
    network, ipc = host_config.get("NetworkMode") or "", host_config.get("IpcMode") or ""
    for key in host_config.get("Sysctls") or {}:
        name = key.replace("/", ".")
        if name in defaults.IPC_SYSCTLS or name.startswith(defaults.IPC_PREFIX):
            if ipc == "host":
                raise InvalidParameter(f'sysctl "{key}" not allowed in host ipc namespace')
        elif name.startswith(defaults.NET_PREFIX):
            if network == "host":
                raise InvalidParameter(f'sysctl "{key}" not allowed in host network namespace')
        elif name in defaults.UTS_SYSCTLS:
            if host_config.get("UTSMode") == "host":
                raise InvalidParameter(f'sysctl "{key}" not allowed in host UTS namespace')
        else:
            raise InvalidParameter(f"sysctl '{key}' is not allowed")


def log_config(host_config: HostConfig) -> None:
    """json-file with max-size and max-file, or none. Raises InvalidParameter."""
    log = host_config.get("LogConfig") or {}
    driver, options = log.get("Type") or "json-file", log.get("Config") or {}
    if driver not in ("json-file", "none"):
        raise InvalidParameter(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    if driver == "none":
        return
    if options.get("mode", "blocking") not in ("", "blocking", "non-blocking"):
        raise InvalidParameter(f"logger: logging mode not supported: {options['mode']}")
    for option in options:
        if option not in _LOG_OPTIONS:
            raise InvalidParameter(f"unknown log opt '{option}' for json-file log driver")
    if "max-file" in options and (not re.fullmatch("[0-9]+", str(options["max-file"])) or int(options["max-file"]) < 1):
        raise InvalidParameter("max-file cannot be less than 1")
    if "max-size" in options:
        size = parse_size(str(options["max-size"]))
        if size is None or (size == 0 and options["max-size"] != "-1"):
            raise InvalidParameter(f"invalid size: '{options['max-size']}'")


def unsupported(host_config: HostConfig) -> None:
    """What the Engine API knows and this build refuses, rather than to accept it without effect.

    Raises NotSupported, and InvalidParameter for a runtime that nobody has.
    """
    refused = {
        "Links": "links",
        "VolumesFrom": "volumes from another container",
        "PublishAllPorts": "publishing ports",
        "CpuRealtimePeriod": "real-time scheduling",
        "CpuRealtimeRuntime": "real-time scheduling",
        "VolumeDriver": "volume drivers other than local",
    }
    for key, what in refused.items():
        value = host_config.get(key)
        if value and value != "local":
            raise NotSupported(f"{what}: not supported by this version of minidock ({key})")
    if any((host_config.get("PortBindings") or {}).values()):
        raise NotSupported("publishing ports: not supported by this version of minidock (PortBindings)")
    if host_config.get("Runtime") not in (None, "", "runc", "native"):
        raise InvalidParameter(f"Unknown runtime specified {host_config['Runtime']}")


def source_exists(point: mounts.MountPoint) -> None:
    """--mount wants its host path, the source of `point`, to be there; -v makes a directory, but not in the place of, or below,
    something else. Raises InvalidParameter."""
    if point.kind != "bind":
        return
    try:
        os.stat(point.source)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        missing = isinstance(error, FileNotFoundError)
    else:
        return
    if not point.make_source:
        words = f"bind source path does not exist: {point.source}" if missing else f"stat {point.source}: {reason}"
        raise InvalidParameter(f'invalid mount config for type "bind": {words}')
    parent = point.source
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)
    if parent == point.source:  # a link to nowhere, or to itself
        raise InvalidParameter(f"error while creating mount source path '{parent}': mkdir {parent}: file exists")
    if not os.path.isdir(parent):
        raise InvalidParameter(f"error while creating mount source path '{point.source}': mkdir {parent}: not a directory")


def parse_size(text: str) -> int | None:
    """`text` such as ``10m``, ``1.5GB``, ``-1`` (no limit, 0) as bytes (units.RAMInBytes); None if it is no size."""
    if text == "-1":
        return 0
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    return int(float(match[1]) * 1024 ** " kmgtp".index((match[2] or " ").lower()))

"""From the parsed flags of ``run`` and ``create`` to the body of the Engine API's ``POST /containers/create``.

The counterpart of ``parse()`` in docker/cli ``cli/command/container/opts.go``: checks that need several flags at once are made
here, in docker's words (`OptionError`); what only the engine can judge (whether a name is free, whether a capability
exists) is passed on as it is.
"""

from __future__ import annotations

from typing import Any

from minidock.cli.grammar.flags import Parsed
from minidock.cli.opts import OptionError, container, envfile, mounts

UNSUPPORTED = {
    "publish": "publishing ports",
    "publish-all": "publishing ports",
    "expose": "exposing ports",
    "link": "linking containers",
    "volumes-from": "taking volumes from another container",
}


def body(parsed: Parsed) -> dict[str, Any]:
    """Config at the top level, HostConfig and NetworkingConfig inside, as the API wants it. Raises OptionError."""
    _refuse(parsed)
    config = _config(parsed)
    networks, networking = _networks(parsed)
    config["HostConfig"] = {**_host_config(parsed), **_resources(parsed), "NetworkMode": networks}
    binds, volumes = mounts.split_volumes(parsed["volume"])
    config["HostConfig"]["Binds"] = binds or None
    config["Volumes"] = volumes
    if networking:
        config["NetworkingConfig"] = {"EndpointsConfig": networking}
    return config


def _refuse(parsed: Parsed) -> None:
    for name, what in UNSUPPORTED.items():
        if parsed[name]:
            raise OptionError(f"--{name}: {what} is not supported yet")
    if parsed["pull"] not in ("always", "missing", "never"):
        raise OptionError(f'invalid pull option: \'{parsed["pull"]}\': must be one of "always", "missing" or "never"')
    swappiness = parsed["memory-swappiness"]
    if swappiness != -1 and not 0 <= swappiness <= 100:
        raise OptionError(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
    if parsed["rm"] and parsed["restart"] not in ("", "no"):
        raise OptionError("conflicting options: cannot specify both --restart and --rm")


def _config(parsed: Parsed) -> dict[str, Any]:
    image, *command = parsed.args
    streams = parsed["attach"]
    stdin = parsed["interactive"]
    config: dict[str, Any] = {
        "Image": image,
        "Cmd": command or None,
        "Hostname": parsed["hostname"],
        "Domainname": parsed["domainname"],
        "User": parsed["user"],
        "Tty": parsed["tty"],
        "OpenStdin": stdin,
        "AttachStdin": stdin or "stdin" in streams,
        "AttachStdout": not streams or "stdout" in streams,
        "AttachStderr": not streams or "stderr" in streams,
        "Env": envfile.read_environment(parsed["env-file"], parsed["env"]),
        "Labels": envfile.read_labels(parsed["label-file"], parsed["label"]),
        "WorkingDir": parsed["workdir"],
        "Entrypoint": None,
    }
    config["StdinOnce"] = config["OpenStdin"] and config["AttachStdin"]
    if "entrypoint" in parsed.given:
        # an empty one takes the image's entrypoint away
        config["Entrypoint"] = [parsed["entrypoint"]]
    if parsed["stop-signal"]:
        config["StopSignal"] = parsed["stop-signal"]
    if parsed["stop-timeout"] is not None:
        config["StopTimeout"] = parsed["stop-timeout"]
    if parsed["mac-address"]:
        config["MacAddress"] = container.mac_address(parsed["mac-address"])
    return config


def _host_config(parsed: Parsed) -> dict[str, Any]:
    security, unconfined_paths = container.security_options(parsed["security-opt"])
    result: dict[str, Any] = {
        "AutoRemove": parsed["rm"],
        "CapAdd": parsed["cap-add"] or None,
        "CapDrop": parsed["cap-drop"] or None,
        "CgroupnsMode": container.namespace_mode("cgroupns", "CGROUP", parsed["cgroupns"], ("host", "private")),
        "ContainerIDFile": parsed["cidfile"],
        "Dns": parsed["dns"] or [],
        "DnsOptions": parsed["dns-option"] or [],
        "DnsSearch": parsed["dns-search"] or [],
        "ExtraHosts": parsed["add-host"] or None,
        "GroupAdd": parsed["group-add"] or None,
        "IpcMode": parsed["ipc"],
        "LogConfig": {
            "Type": parsed["log-driver"],
            "Config": container.log_options(parsed["log-driver"], parsed["log-opt"]),
        },
        "PidMode": container.namespace_mode("pid", "PID", parsed["pid"], ("host", "container")),
        "Privileged": parsed["privileged"],
        "ReadonlyRootfs": parsed["read-only"],
        "RestartPolicy": container.restart_policy(parsed["restart"]),
        "SecurityOpt": security or None,
        "UTSMode": container.namespace_mode("uts", "UTS", parsed["uts"], ("host",)),
        "UsernsMode": container.namespace_mode("userns", "USER", parsed["userns"], ("host",)),
    }
    if parsed["runtime"]:
        result["Runtime"] = parsed["runtime"]
    if parsed["init"] or "init" in parsed.given:
        result["Init"] = parsed["init"]
    if parsed["mount"]:
        result["Mounts"] = parsed["mount"]
    if parsed["tmpfs"]:
        result["Tmpfs"] = mounts.tmpfs(parsed["tmpfs"])
    if parsed["shm-size"]:
        result["ShmSize"] = parsed["shm-size"]
    if parsed["sysctl"]:
        result["Sysctls"] = {name: value for name, _, value in (s.partition("=") for s in parsed["sysctl"])}
    if unconfined_paths:
        result["MaskedPaths"], result["ReadonlyPaths"] = [], []
    return result


# The limits: flag → the field of HostConfig.
NUMBERS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "kernel-memory": "KernelMemory",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "oom-score-adj": "OomScoreAdj",
}
LISTS = {
    "blkio-weight-device": "BlkioWeightDevice",
    "device-cgroup-rule": "DeviceCgroupRules",
    "device-read-bps": "BlkioDeviceReadBps",
    "device-read-iops": "BlkioDeviceReadIOps",
    "device-write-bps": "BlkioDeviceWriteBps",
    "device-write-iops": "BlkioDeviceWriteIOps",
    "ulimit": "Ulimits",
}


def _resources(parsed: Parsed) -> dict[str, Any]:
    """The limits. Only those given are sent, apart from the zeros docker always sends."""
    result: dict[str, Any] = {key: parsed[name] or 0 for name, key in NUMBERS.items()}
    result |= {key: parsed[name] for name, key in LISTS.items() if parsed[name]}
    result["CpusetCpus"] = parsed["cpuset-cpus"]
    result["CpusetMems"] = parsed["cpuset-mems"]
    result["CgroupParent"] = parsed["cgroup-parent"]
    result["Devices"] = [container.device(text) for text in parsed["device"]]
    if parsed["memory-swappiness"] != -1:
        result["MemorySwappiness"] = parsed["memory-swappiness"]
    if parsed["oom-kill-disable"]:
        result["OomKillDisable"] = True
    if parsed["pids-limit"] is not None:
        result["PidsLimit"] = parsed["pids-limit"]
    return result


def _networks(parsed: Parsed) -> tuple[str, dict[str, Any]]:
    """The network mode, and what holds for its endpoint (address, MAC, aliases)."""
    chosen = parsed["network"] or [{"Target": "default"}]
    if any(not network["Target"] for network in chosen):
        raise OptionError("no name set for network")
    if len(chosen) > 1:
        raise OptionError("connecting a container to several networks is not supported yet")
    network = chosen[0]
    address = network.get("IPv4Address") or parsed["ip"]
    mac = network.get("MacAddress") or parsed["mac-address"]
    aliases = network.get("Aliases", []) + parsed["network-alias"]
    endpoint: dict[str, Any] = {}
    if address:
        endpoint["IPAMConfig"] = {"IPv4Address": address}
    if mac:
        endpoint["MacAddress"] = container.mac_address(mac)
    if aliases:
        endpoint["Aliases"] = aliases
    return network["Target"], ({network["Target"]: endpoint} if endpoint else {})

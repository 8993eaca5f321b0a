"""``docker info``: the instance, the machine, and what the machine cannot do. Source: Engine API 1.41, ``GET /info``."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import minidock
from minidock.daemon.base.verb import verb
from minidock.daemon.record.names import all_containers
from minidock.execdriver import cgroups

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

# info's key → (the limit that this machine can hold if so, docker's warning if not).
LIMITS = {
    "MemoryLimit": ("memory", "No memory limit support"),
    "SwapLimit": ("memory_swap", "No swap limit support"),
    "OomKillDisable": ("oom_kill_disable", "No oom kill disable support"),
    "CpuCfsPeriod": ("cpu_period", "No cpu cfs period support"),
    "CpuCfsQuota": ("cpu_quota", "No cpu cfs quota support"),
    "CPUShares": ("cpu_shares", "No cpu shares support"),
    "CPUSet": ("cpuset_cpus", "No cpuset support"),
    "PidsLimit": ("pids_limit", "No pids limit support"),
}
SYSCTLS = {
    "IPv4Forwarding": ("net/ipv4/ip_forward", "IPv4 forwarding is disabled"),
    "BridgeNfIptables": ("net/bridge/bridge-nf-call-iptables", "bridge-nf-call-iptables is disabled"),
    "BridgeNfIp6tables": ("net/bridge/bridge-nf-call-ip6tables", "bridge-nf-call-ip6tables is disabled"),
}


@verb
def info(engine: Engine) -> dict[str, Any]:
    """The Engine API's system information. ``Warnings`` are whole lines, "WARNING: …", as docker's client prints them."""
    able, warnings = abilities()
    return {
        "ID": engine.id,
        "Name": socket.gethostname(),
        "ServerVersion": minidock.__version__,
        "DockerRootDir": str(engine.paths.root),
        "SystemTime": datetime.now().astimezone().isoformat(),
        "Labels": [],
        "ExperimentalBuild": False,
        "Debug": False,
        "LiveRestoreEnabled": True,  # no container ever needs the engine to live
        "IndexServerAddress": "",
        "RegistryConfig": None,
        **_counts(engine),
        **_machine(),
        "Driver": engine.layers.name,
        "DriverStatus": [list(row) for row in engine.layers.status()],
        "LoggingDriver": "json-file",
        "Plugins": {
            "Volume": [],
            "Network": sorted(engine.networks.names()),
            "Authorization": None,
            "Log": ["json-file", "none"],
        },
        "Runtimes": {engine.execdriver.name: {"path": "libcontainer"}},
        "DefaultRuntime": engine.execdriver.name,
        "InitBinary": "minidock-init",
        "Isolation": "",
        "Swarm": {"LocalNodeState": "inactive", "ControlAvailable": False},
        "SecurityOptions": _security(),
        **able,
        "Warnings": warnings,
    }


def _counts(engine: Engine) -> dict[str, int]:
    states = [container.state().status for _, container in all_containers(engine)]
    running, paused = states.count("running"), states.count("paused")
    return {
        "Containers": len(states),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running - paused,
        "Images": len(engine.images.images()),
    }


def _machine() -> dict[str, Any]:
    uname = os.uname()
    release = _os_release()
    return {
        "KernelVersion": uname.release,
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": uname.machine,
        "NCPU": len(os.sched_getaffinity(0)),
        "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    }


def _os_release() -> dict[str, str]:
    """os-release(5) as a dict ({} where there is none)."""
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        if path.exists():
            lines = (line.partition("=") for line in path.read_text().splitlines())
            return {key: value.strip("\"'") for key, equals, value in lines if equals}
    return {}


def _security() -> list[str]:
    """The mechanisms that guard containers on this kernel."""
    found = ["name=seccomp,profile=default"] if Path("/proc/sys/kernel/seccomp").exists() else []
    apparmor = Path("/sys/module/apparmor/parameters/enabled")
    if apparmor.exists() and apparmor.read_text().startswith("Y"):
        found.insert(0, "name=apparmor")
    if Path("/proc/self/ns/cgroup").exists() and cgroups.version() == 2:
        found.append("name=cgroupns")
    return found


def abilities() -> tuple[dict[str, Any], list[str]]:
    """What the kernel can limit, by info's keys, and docker's warnings about what it cannot."""
    version, there = cgroups.version(), cgroups.present()
    able: dict[str, Any] = {"CgroupDriver": "cgroupfs", "CgroupVersion": str(version)}
    if version == 1:
        able["KernelMemory"], able["KernelMemoryTCP"] = cgroups.kernel_memory()
    warnings = []
    for key, (limit, words) in LIMITS.items():
        if key == "OomKillDisable" and version == 2:
            continue  # v2 cannot, and docker says nothing of it
        able[key] = limit in there
        if not able[key]:
            warnings.append(f"WARNING: {words}")
    for key, (file, words) in SYSCTLS.items():
        path = Path("/proc/sys", file)
        able[key] = path.exists() and path.read_text().strip() == "1"
        if not able[key]:
            warnings.append(f"WARNING: {words}")
    return able, warnings

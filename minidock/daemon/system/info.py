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
from minidock.libcontainer.cgroups.hierarchy import hierarchies, unified

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

# What docker asks the kernel for: key of info → (controller, file that is there when the kernel can, docker's warning).
CHECKS_V1 = {
    "MemoryLimit": ("memory", "memory.limit_in_bytes", "No memory limit support"),
    "SwapLimit": ("memory", "memory.memsw.limit_in_bytes", "No swap limit support"),
    "KernelMemory": ("memory", "memory.kmem.limit_in_bytes", ""),
    "KernelMemoryTCP": ("memory", "memory.kmem.tcp.limit_in_bytes", ""),
    "OomKillDisable": ("memory", "memory.oom_control", "No oom kill disable support"),
    "CpuCfsPeriod": ("cpu", "cpu.cfs_period_us", "No cpu cfs period support"),
    "CpuCfsQuota": ("cpu", "cpu.cfs_quota_us", "No cpu cfs quota support"),
    "CPUShares": ("cpu", "cpu.shares", "No cpu shares support"),
    "CPUSet": ("cpuset", "cpuset.cpus", "No cpuset support"),
    "PidsLimit": ("pids", "", "No pids limit support"),
}
# On v2 the files are in every cgroup but the root, so the controller is what to ask for.
CHECKS_V2 = {
    "MemoryLimit": ("memory", "No memory limit support"),
    "SwapLimit": ("memory", "No swap limit support"),
    "CpuCfsPeriod": ("cpu", "No cpu cfs period support"),
    "CpuCfsQuota": ("cpu", "No cpu cfs quota support"),
    "CPUShares": ("cpu", "No cpu shares support"),
    "CPUSet": ("cpuset", "No cpuset support"),
    "PidsLimit": ("pids", "No pids limit support"),
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
    if Path("/proc/self/ns/cgroup").exists() and unified(hierarchies()):
        found.append("name=cgroupns")
    return found


def abilities() -> tuple[dict[str, Any], list[str]]:
    """What the kernel can limit, by info's keys, and docker's warnings about what it cannot."""
    trees = hierarchies()
    tree = unified(trees)
    able: dict[str, Any] = {"CgroupDriver": "cgroupfs", "CgroupVersion": "2" if tree else "1"}
    warnings = []
    if tree:
        checks = [(key, name in tree.controllers, words) for key, (name, words) in CHECKS_V2.items()]
    else:
        mounts = {name: Path(h.mountpoint) for h in trees for name in h.controllers}
        checks = [
            (key, name in mounts and (mounts[name] / file).exists(), words) for key, (name, file, words) in CHECKS_V1.items()
        ]
    for key, there, words in checks:
        able[key] = there
        if not there and words:
            warnings.append(f"WARNING: {words}")
    for key, (file, words) in SYSCTLS.items():
        path = Path("/proc/sys", file)
        able[key] = path.exists() and path.read_text().strip() == "1"
        if not able[key]:
            warnings.append(f"WARNING: {words}")
    return able, warnings

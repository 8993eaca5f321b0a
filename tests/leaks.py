"""What a test may leave behind, seen: mounts, links, rules, cgroups, processes, descriptors, files.

`snapshot()` before, `differences()` after. Some of the kernel's own tidying is asynchronous (a network namespace takes its veth
along a moment after its last process, a cgroup goes when its last zombie is reaped), so `settled()` looks until nothing is
left or its time is up; what is still there then is a leak.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, fields
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PATIENCE = 5.0  # seconds that the kernel may take to tidy up after the last process


@dataclass(frozen=True)
class Snapshot:
    """Everything on the machine that a container could have left, as sets of printable lines."""

    mounts: frozenset[str]
    links: frozenset[str]
    rules: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]
    fds: frozenset[str]
    files: frozenset[str]


def mounts() -> frozenset[str]:
    """Mount points of this mount namespace."""
    return frozenset(line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())


def links() -> frozenset[str]:
    """Network interfaces of this network namespace."""
    return frozenset(os.listdir("/sys/class/net"))


def rules() -> frozenset[str]:
    """iptables rules, without counters and comments."""
    if shutil.which("iptables-save") is None:
        return frozenset()
    out = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    return frozenset(line for line in out.splitlines() if line.startswith("-A"))


def cgroups() -> frozenset[str]:
    """Every cgroup of every hierarchy, but the machine's own and the empty shell of an instance that lives on."""
    found = []
    for folder, names, _files in os.walk(CGROUPS):
        names[:] = [n for n in names if n not in ("process_api", "docker", "system.slice", "init.scope", "user.slice")]
        found += [os.path.join(folder, n) for n in names if Path(folder) != CGROUPS]
    hybrid = CGROUPS / "unified/cgroup.subtree_control"  # a controller that it hands down cannot be mounted on v1
    return frozenset(found + ([f"{hybrid}: {c}" for c in hybrid.read_text().split()] if hybrid.exists() else []))


def processes() -> frozenset[str]:
    """Processes of any minidock instance (they are in its cgroups), and our own children, zombies too."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            group = (entry / "cgroup").read_text()
            name = (entry / "comm").read_text().strip()
            state, ppid = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name == "minidock-spare":  # a zygote keeps one ready, and a new one each time; they cannot outlive it
            continue
        if state == "Z" and ppid == "1":  # dead, and for the machine's init to reap, which may look every two seconds only
            continue
        if "/minidock" in group or (ppid == str(os.getpid()) and "python" not in name and "chrom" not in name):
            found.append(f"{entry.name} {name}")
    return frozenset(found)


def fds() -> frozenset[str]:
    """This process's open descriptors."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except FileNotFoundError:  # the one that listed
            continue
    return frozenset(found)


def files() -> frozenset[str]:
    """Run directories of instances, and network namespaces by name."""
    return frozenset(str(p) for pattern in ("/run/minidock*", "/run/netns/*") for p in Path("/").glob(pattern[1:]))


def snapshot() -> Snapshot:
    """Look at everything."""
    return Snapshot(mounts(), links(), rules(), cgroups(), processes(), fds(), files())


def differences(before: Snapshot, now: Snapshot) -> list[str]:
    """What is there now and was not before."""
    return [
        f"{field.name}: {line}"
        for field in fields(Snapshot)
        for line in sorted(getattr(now, field.name) - getattr(before, field.name))
    ]


def settled(before: Snapshot, patience: float = PATIENCE) -> list[str]:
    """The differences once the kernel has tidied up: empty, or what is still there after `patience` seconds."""
    deadline = time.monotonic() + patience
    while left := differences(before, snapshot()):
        if time.monotonic() > deadline:
            return left
        time.sleep(0.02)
    return []

"""What a test may leave behind, seen: mounts, links, rules, cgroups, processes, descriptors, files, loop devices, swap.

Everything found is an `Item` with an owner: the label that says whose it is. ::

    /minidock-1a2b3c4d/… in a cgroup hierarchy      the instance minidock-1a2b3c4d       (a process belongs to its cgroup)
    md-1a2b3c4d, and the veths plugged into it      the same
    MINIDOCK-1A2B3C4D, and the rules that name it   the same
    a mount, loop device or swap file               the folder that it lies in
    our descriptors and children                    this process
    anything else                                   nobody: ""

Two checks look at it. The one after each test (`snapshot`, `settled`) sees what belongs to this process: to the instances that
it made, to its temporary folder, to its own label. So test processes run side by side, also those of another checkout. What has
lost its label is nobody's, and belongs to the comparison that closes a run (``tests/closing.py``).

Some of the kernel's own tidying is asynchronous (a network namespace takes its veth along a moment after its last process, a
cgroup goes when its last zombie is reaped), so `settled()` looks until nothing is left or its time is up; what is still there
then is a leak.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from minidock.daemon.base.paths import Paths

CGROUPS = Path("/sys/fs/cgroup")
PATIENCE = 5.0  # seconds that the kernel may take to tidy up after the last process
# The machine's own cgroups: nothing of ours is ever in there.
NOT_OURS = ("process_api", "docker", "system.slice", "init.scope", "user.slice")
LABEL = "minidock-test-"  # of what belongs to a test, but to no instance
INSTANCE = re.compile(r"minidock(-[0-9a-f]{8})?")
_CHAIN = re.compile(r"(?<![\w-])MINIDOCK(?:-([0-9A-F]{8}))?(?![\w-])")


class Item(NamedTuple):
    """One thing on the machine: its kind, what it is called, and whose it is ("" if nobody's label is on it)."""

    kind: str
    text: str
    owner: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


# ---- what is ours -----------------------------------------------------------------------------------------------------------
_names: set[str] = set()
_folders: set[str] = set()


def label() -> str:
    """What a test calls something that belongs to no instance (a cgroup, a network namespace): a name that begins so."""
    return f"{LABEL}{os.getpid()}"


def claim(name: str) -> str:
    """From now on the instance `name` is this process's."""
    _names.add(name)
    return name


def claim_folder(folder: Path) -> None:
    """From now on what is mounted, looped or swapped below `folder` is this process's."""
    _folders.add(str(folder))


def claimed() -> frozenset[str]:
    """The names of all instances that this process has made so far."""
    return frozenset(_names)


def watch_instances() -> None:
    """Claim every instance that this process asks the paths of, in whatever way (Engine, from_env, teardown)."""
    original = Paths.of

    def of(cls: type[Paths], root: str | os.PathLike[str] | None = None) -> Paths:
        paths = original(root)
        claim(paths.instance)
        return paths

    Paths.of = classmethod(of)  # type: ignore[method-assign, assignment]


def ours(item: Item) -> bool:
    """Whether `item` carries a label of this process."""
    return bool(item.owner) and (
        item.owner in _names
        or re.fullmatch(rf"{re.escape(label())}(-.*)?", item.owner) is not None
        or any(item.owner == folder or item.owner.startswith(f"{folder}/") for folder in _folders)
    )


# ---- what there is ----------------------------------------------------------------------------------------------------------
def mounts() -> Iterator[Item]:
    """Mount points of this mount namespace."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4]
        yield Item("mount", point, _owner_of_file(point))


def _owner_of_file(path: str) -> str:
    """A run directory belongs to its instance; everything else to the folder that it lies in."""
    below_run = re.match(rf"/run/({INSTANCE.pattern})(?=/|$)", path)
    return below_run[1] if below_run else path


def links() -> Iterator[Item]:
    """Network interfaces of this network namespace: a bridge carries its instance's name, a veth hangs on a bridge."""
    for name in os.listdir("/sys/class/net"):
        master = Path("/sys/class/net", name, "master")
        bridge = master.resolve().name if master.is_symlink() else name
        digits = re.fullmatch(r"md-([0-9a-f]{8})", bridge)
        yield Item("link", name, "minidock" if bridge == "minidock0" else f"minidock-{digits[1]}" if digits else "")


def rules() -> Iterator[Item]:
    """iptables chains and rules, without counters and comments."""
    if shutil.which("iptables-save") is None:
        return
    out = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    for line in out.splitlines():
        if line.startswith((":", "-A")):
            chain = _CHAIN.search(line)
            owner = "" if not chain else f"minidock-{chain[1].lower()}" if chain[1] else "minidock"
            yield Item("rule", line.partition(" [")[0] if line[0] == ":" else line, owner)


def cgroups() -> Iterator[Item]:
    """Every cgroup of every hierarchy but the machine's own, and what the hybrid's root hands down: a controller in there
    cannot be mounted on v1."""
    for folder, names, _files in os.walk(CGROUPS):
        names[:] = [n for n in names if n not in NOT_OURS]
        for name in names:
            if Path(folder) != CGROUPS or (CGROUPS / name / "cgroup.type").exists():
                path = os.path.join(folder, name)
                yield Item("cgroup", path, _owner_of_cgroup(path))
    hybrid = CGROUPS / "unified/cgroup.subtree_control"
    if hybrid.exists():
        yield from (Item("cgroup", f"{hybrid}: {c}", "") for c in hybrid.read_text().split())


def _owner_of_cgroup(path: str) -> str:
    parts = Path(path).relative_to(CGROUPS).parts
    for name in parts[:2]:  # the first component below the hierarchy, which v2 mounts at the top
        if INSTANCE.fullmatch(name) or name.startswith(LABEL):
            return name
    return ""


def processes() -> Iterator[Item]:
    """Processes in the cgroups of any instance, and our own children, zombies too."""
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
        found = re.search(rf":/({INSTANCE.pattern}|{LABEL}[^/\n]+)(?=/|$)", group, re.MULTILINE)
        if found:
            yield Item("process", f"{entry.name} {name}", found[1])
        elif ppid == str(os.getpid()) and "python" not in name and "chrom" not in name:
            yield Item("process", f"{entry.name} {name}", label())


def fds() -> Iterator[Item]:
    """This process's open descriptors."""
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that listed
            yield Item("descriptor", f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}", label())


def files() -> Iterator[Item]:
    """Run directories of instances, and network namespaces by name."""
    for path in Path("/run").glob("minidock*"):
        yield Item("file", str(path), path.name)
    for path in Path("/run/netns").glob("*"):
        yield Item("file", str(path), path.name if path.name.startswith(LABEL) else "")


def disks() -> Iterator[Item]:
    """Loop devices and swap areas, by the file behind them."""
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):  # let go of at this moment
            file = backing.read_text().strip()
            yield Item("loop", f"/dev/{backing.parts[3]} {file}", _owner_of_file(file))
    for line in Path("/proc/swaps").read_text().splitlines()[1:]:
        yield Item("swap", line.split()[0], _owner_of_file(line.split()[0]))


def everything() -> frozenset[Item]:
    """All that is there now, whoever it belongs to."""
    return frozenset(item for look in (mounts, links, rules, cgroups, processes, fds, files, disks) for item in look())


# ---- the check after each test ----------------------------------------------------------------------------------------------
def snapshot() -> frozenset[Item]:
    """All that is there now and belongs to this process."""
    return frozenset(filter(ours, everything()))


def settled(before: frozenset[Item], patience: float = PATIENCE) -> list[str]:
    """What is there now and was not before, once the kernel has tidied up: nothing, or what is left after `patience` s."""
    deadline = time.monotonic() + patience
    while left := snapshot() - before:
        if time.monotonic() > deadline:
            return sorted(map(str, left))
        time.sleep(0.02)
    return []

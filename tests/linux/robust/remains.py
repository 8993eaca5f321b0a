"""What one instance has on this machine, seen: to compare before and after, while other instances do what they like."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from minidock.daemon import open_engine
from minidock.daemon.base.paths import Paths
from minidock.daemon.engine import Engine

PATIENCE = 5.0  # seconds that a shim and the kernel may take to tidy up after the last process
KEPT_READY = ("minidock-zygote", "minidock-keeper", "minidock-spare")  # a zygote and its helpers are no container's


@dataclass(frozen=True)
class Remains:
    """All that the instance has, as sets of printable lines."""

    rows: frozenset[str]
    files: frozenset[str]
    cgroups: frozenset[str]
    processes: frozenset[str]
    mounts: frozenset[str]
    links: frozenset[str]
    rules: frozenset[str]
    fds: frozenset[str]


def look(engine: Engine, *, rules: bool = True) -> Remains:
    """Everything of `engine`'s instance, and this process's descriptors. `rules=False` spares iptables-save (20 ms)."""
    paths = engine.paths
    cgroups = _cgroups(paths)
    return Remains(
        _rows(engine),
        _files(paths),
        frozenset(group for group in cgroups if not group.endswith("/shims")),
        _processes(cgroups),
        frozenset(line for line in read("/proc/self/mountinfo").splitlines() if str(paths.root) in line),
        _links(paths),
        _rules(paths) if rules else frozenset(),
        descriptors(str(paths.tmp)),
    )


def differences(before: Remains, now: Remains) -> list[str]:
    """What there is more, and what there is less."""
    found = []
    for kind in (field.name for field in fields(Remains)):
        was, is_now = getattr(before, kind), getattr(now, kind)
        found += [f"{kind}: left {line}" for line in sorted(is_now - was)]
        if kind != "processes":  # one that ended is nothing lost
            found += [f"{kind}: lost {line}" for line in sorted(was - is_now)]
    return found


def settled(root: Path, before: Remains, patience: float = PATIENCE, ignore: Collection[str] = ()) -> list[str]:
    """The differences that new engines on `root` find, once living shims and the kernel have tidied up after themselves.

    Empty, or what is still there after `patience` seconds. `ignore` are kinds that are not looked at.
    """
    deadline = time.monotonic() + patience
    while True:
        with open_engine(root) as engine:
            found = [line for line in differences(before, look(engine)) if line.partition(":")[0] not in ignore]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def eventually(condition: Callable[[], Any], what: str, patience: float = 20.0) -> Any:
    """`condition`'s first true value. For what happens in processes that are not ours and announce nothing."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        time.sleep(0.01)
    return value


def _rows(engine: Engine) -> frozenset[str]:
    tables = ("names", "refs", "addresses", "ports")
    return frozenset(f"{t} {row}" for t in tables for row in engine.links.execute(f"SELECT * FROM {t}").fetchall())


def _files(paths: Paths) -> frozenset[str]:
    """State and run directory, but what lies inside layers and volumes, and our own scratch directory."""
    found = set()
    for top in (paths.root, paths.run):
        for folder, names, files in os.walk(top):
            if Path(folder).parent in (paths.root / "overlay", paths.root / "vfs", paths.volumes):
                names.clear()
                continue
            found |= {os.path.join(folder, name) for name in (*names, *files)}
    scratch = f"{paths.tmp}/{os.getpid()}-"
    return frozenset(name for name in found if not name.startswith(scratch) and not _furniture(paths, name))


def _furniture(paths: Paths, name: str) -> bool:
    """What an instance has once it has been used, and keeps."""
    base = os.path.basename(name)
    return base.startswith(("zygote", "linkgraph.db", "reserve", "records.jsonl", "cgroups", "looked")) or name.startswith(
        (f"{paths.seccomp}/", f"{paths.root}/network")
    )


def _cgroups(paths: Paths) -> frozenset[str]:
    return frozenset(
        folder for top in Path("/sys/fs/cgroup").glob(f"*/{paths.instance}") for folder, _names, _files in os.walk(top)
    )


def _processes(cgroups: Collection[str]) -> frozenset[str]:
    """Whoever is in one of the instance's cgroups: containers, shims, starters, after-exit entries."""
    found = set()
    for pid in {pid for group in cgroups for pid in read(f"{group}/cgroup.procs").split()}:
        if (name := read(f"/proc/{pid}/comm").strip()) and name not in KEPT_READY:
            if name == "minidock-start" and read(f"/proc/{_parent(pid)}/comm").strip() == "minidock-spare":
                continue
            found.add(f"{pid} {name}")
    return frozenset(found)


def _parent(pid: str) -> str:
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1:2][0] if read(f"/proc/{pid}/stat") else "0"


def _links(paths: Paths) -> frozenset[str]:
    """Veths in the instance's bridge."""
    digits = paths.instance.removeprefix("minidock-")
    try:
        return frozenset(os.listdir(f"/sys/class/net/md-{digits}/brif"))
    except FileNotFoundError:
        return frozenset()


def _rules(paths: Paths) -> frozenset[str]:
    """iptables rules of the instance's chains and bridge."""
    if shutil.which("iptables-save") is None:
        return frozenset()
    digits = paths.instance.removeprefix("minidock-")
    out = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    return frozenset(line for line in out.splitlines() if line.startswith("-A") and digits in line.lower())


def descriptors(scratch: str) -> frozenset[str]:
    """This process's open files, numbered within each name: their own numbers mean nothing."""
    seen: list[str] = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            name = os.readlink(f"/proc/self/fd/{fd}")
        except FileNotFoundError:
            continue
        name = name.partition("[")[0]  # socket:[1234]
        if scratch not in name and "linkgraph.db" not in name:
            seen.append(name)
    return frozenset(f"{name} #{seen[:n].count(name)}" for n, name in enumerate(seen))


def read(path: str) -> str:
    """A file of /proc or /sys; "" if what it tells of is gone."""
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""

"""The processes of a container, seen from both sides: on the host, and with the numbers that they have inside.

The host sees every process of every container, under its own number; inside, the same processes are numbered from 1. Linux
writes both in one place: the line ``NSpid`` of ``/proc/PID/status`` lists a process's numbers from the reader's pid namespace
down to its own (proc(5), pid_namespaces(7)). So nothing has to be run inside the container to draw its side.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """One process: `pid`, `ppid` and `name` as the host sees them; `inner` its numbers in the namespaces below, outermost
    first (empty: it is in the host's); `namespace` its pid namespace."""

    pid: int
    ppid: int
    name: str
    inner: tuple[int, ...]
    namespace: str

    @property
    def inside(self) -> int | None:
        """Its number in its own pid namespace; None if that is the host's."""
        return self.inner[-1] if self.inner else None


def processes() -> dict[int, Process]:
    """Every process that /proc shows, by pid. One that ends while it is being read is left out."""
    found = (_read(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {p.pid: p for p in found if p is not None}


def _read(pid: int) -> Process | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        namespace = _namespace(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    inner = tuple(int(n) for n in status.get("NSpid", "").split()[1:])
    return Process(pid, int(status["PPid"]), status["Name"], inner, namespace)


def _namespace(pid: int) -> str:
    """Its pid namespace; "" for one that holds a capability which we do not have: then it is the host's."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except PermissionError:
        return ""


def descendants(root: int, table: dict[int, Process]) -> list[Process]:
    """`root` and all below it, parents before children, each followed by its own subtree. [] if `root` is gone."""
    if root not in table:
        return []
    children = sorted(p.pid for p in table.values() if p.ppid == root and p.pid != root)
    return [table[root], *(p for child in children for p in descendants(child, table))]


def depth(process: Process, table: dict[int, Process], root: int) -> int:
    """How many generations below `root` the process is (0 for root itself)."""
    generations = 0
    while process.pid != root and process.ppid in table:
        process, generations = table[process.ppid], generations + 1
    return generations


def ancestors(pid: int, table: dict[int, Process]) -> list[Process]:
    """The process and its ancestors, itself first, up to pid 1."""
    line = []
    while pid in table:
        line.append(table[pid])
        pid = table[pid].ppid
    return line


@dataclass(frozen=True)
class Line:
    """One line of a drawn tree: the `process`, its `depth`, and `label`, what stands there."""

    process: Process
    depth: int
    label: str


def both_sides(inits: Iterable[int]) -> tuple[list[Line], list[Line]]:
    """The trees of the containers whose first processes are `inits` (host pids): (as on the host, as inside).

    The host's side starts at the nearest common ancestor, pid 1 at the latest, and shows only what leads to a container or
    belongs to one.
    """
    table = processes()
    roots = [i for i in inits if i in table]
    lines = [ancestors(r, table)[::-1] for r in roots]
    paths = [[p.pid for p in line] for line in lines]
    common = [level[0] for level in zip(*paths, strict=False) if len(set(level)) == 1]
    if len(roots) == 1:
        common = common[:-1]
    top = common[-1] if common else (roots[0] if roots else 0)
    keep = {pid for path in paths for pid in path} | {p.pid for r in roots for p in descendants(r, table)}
    host = [
        Line(p, depth(p, table, top), f"{p.name}  {p.pid}") for p in descendants(top, table) if p.pid in keep or p.pid == top
    ]
    inside = [
        Line(p, depth(p, table, r), f"{p.name}  {p.inside if p.inside is not None else p.pid}")
        for r in roots
        for p in descendants(r, table)
    ]
    return host, inside


def text(lines: Iterable[Line]) -> str:
    """The tree as indented text (a picture's alternative for a terminal)."""
    return "\n".join(f"{'  ' * line.depth}{line.label}" for line in lines)

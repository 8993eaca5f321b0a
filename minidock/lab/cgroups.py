"""Cgroups of a chapter's own, made by hand with the kernel's files: mkdir, echo, cat, rmdir (chapter 04).

They lie below the instance's own cgroup and therefore under its ceiling, under a name that `cleanup` knows::

    v1   /sys/fs/cgroup/<controller>/<instance>/lab04/<name>/      one directory per controller
    v2   /sys/fs/cgroup/<instance>/lab04/<name>/                   one directory for all

`Group` does what a shell does, and can say so: each write is one write(2), `start` moves a process in before it becomes the
program. What differs between the versions is a table (`FILES`), not an if in every cell.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minidock.errors import NotSupported
from minidock.lab import chapter, cleanup
from minidock.lab.hiddenmount import HiddenMount
from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups.hierarchy import pids_below, read, write
from minidock.libcontainer.cgroups.hierarchy import remove_tree as remove_tree

# What is set → the file on v1 and on v2. A controller's name is what stands before the dot.
FILES = {
    "weight": ("cpu.shares", "cpu.weight"),
    "memory limit": ("memory.limit_in_bytes", "memory.max"),
    "memory+swap limit": ("memory.memsw.limit_in_bytes", "memory.swap.max"),
    "most memory used": ("memory.max_usage_in_bytes", "memory.peak"),
    "processes": ("pids.max", "pids.max"),
    "cpus": ("cpuset.cpus", "cpuset.cpus"),
    "write rate": ("blkio.throttle.write_bps_device", "io.max"),
}
# v1's controllers that are no controllers on v2, and where their work is done there.
_ON_V2 = {"cpuacct": "cpu", "blkio": "io", "devices": "", "freezer": "", "perf_event": ""}


def version() -> int:
    """1 or 2: which version the controllers of this machine are on (a hybrid host is 1)."""
    return cgroups.version()


def unified() -> Path | None:
    """Where the v2 tree is mounted, with controllers or (on a hybrid host) without. None: nowhere."""
    return next((Path(h.mountpoint) for h in cgroups.hierarchies() if h.version == 2), None)


def mounted() -> dict[str, str]:
    """Controller → where it is mounted; named hierarchies as ``name=systemd``."""
    return {controller: tree.mountpoint for tree in cgroups.hierarchies() for controller in tree.controllers}


@contextmanager
def hierarchy(controller: str) -> Iterator[Path]:
    """A directory in which cgroups for `controller` can be made, mounted anywhere or not; those named lab04… go at the end.

    v1: the root of its hierarchy, as a `HiddenMount` (also when it is mounted elsewhere: it is the same one). v2: the
    chapter's own group in the unified tree; also on a hybrid host whose v2 tree has handed the controller down already, as
    the kernel then does not give it to v1 (EBUSY). Raises OSError when the kernel does not have it.
    """
    prefix = chapter.current().marks.prefix
    tree = next((h for h in cgroups.hierarchies() if h.version == 2), None)
    if version() == 2:
        root = top(controller)
    elif tree and controller in read(f"{tree.mountpoint}/cgroup.subtree_control").split():
        cgroups.v2.make_ancestors(tree, f"/{_instance()}/{prefix}")
        root = Path(tree.mountpoint, _instance(), prefix)
    else:
        with HiddenMount(controller, prefix) as hidden:
            yield hidden.path
        return
    try:
        yield root
    finally:
        for made in root.glob(f"{prefix}*"):
            remove_tree(str(made))


def in_unified(name: str) -> Path | None:
    """A group of the chapter's in the v2 tree, also on a hybrid host, where nothing is limited in it. None: no such tree."""
    tree = unified()
    if tree is None:
        return None
    path = (top("pids") if version() == 2 else tree / _instance() / chapter.current().marks.prefix) / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def file(what: str) -> str:
    """The name of the file that holds `what` (a key of FILES) on this machine."""
    return FILES[what][version() - 1]


def top(controller: str) -> Path:
    """The chapter's own cgroup for `controller`, made if need be, with everything enabled for those below it.

    Raises NotSupported when the controller is not mounted here (v1) or not in the unified tree (v2).
    """
    parent = f"/{_instance()}"
    cgroups.ensure_parent(parent)
    paths = cgroups.manager(parent).paths()
    name = _ON_V2.get(controller, controller) if version() == 2 else controller
    if name not in paths:
        raise NotSupported(f"cgroup: {controller} is not mounted here")
    made = Path(paths[name], chapter.current().marks.prefix)
    if not made.is_dir():
        made.mkdir()
        if version() == 2:
            for each in read(f"{made}/cgroup.controllers").split():
                write(f"{made}/cgroup.subtree_control", f"+{each}")
    return made


def _instance() -> str:
    """The name of the instance's own cgroup."""
    return str(chapter.current().engine.paths.instance)


class Group:
    """One cgroup of the chapter: `name` below lab04 in the hierarchy of each of `controllers`.

    ``group["cpu"]`` is its directory. A v1 cpuset gets its parent's CPUs, as a process could not enter it otherwise.
    """

    def __init__(self, name: str, *controllers: str) -> None:
        self.name = name
        self.directories = {c: top(c) / name for c in controllers}
        for controller, directory in self.directories.items():
            directory.mkdir(exist_ok=True, parents=False)
            if controller == "cpuset" and version() == 1:
                cgroups.v1.fill_cpuset(str(directory))

    def __getitem__(self, controller: str) -> Path:
        return self.directories[controller]

    def _path(self, name: str) -> str:
        """The path of a file: its name begins with the controller's, or is one that all directories have (``cgroup.procs``)."""
        controller = name.partition(".")[0]
        directory = self.directories.get(controller) or next(iter(self.directories.values()))
        return f"{directory}/{name}"

    def write(self, name: str, value: object) -> None:
        """``echo value > name``. Raises OSError as the kernel answers."""
        write(self._path(name), str(value))

    def read(self, name: str) -> str:
        """``cat name``, without the last newline. Raises OSError."""
        return read(self._path(name)).strip()

    def number(self, name: str, key: str = "") -> int:
        """The number in a file, or in its line that begins with `key`; -1 for ``max``. Raises KeyError for a key not there."""
        text = self.read(name)
        if key:
            text = dict(line.split(maxsplit=1) for line in text.splitlines())[key]
        return -1 if text == "max" else int(text)

    def start(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start `argv` inside: a shell writes its own number into each ``cgroup.procs``, then becomes the program."""
        return chapter.current().background(joining(argv, *self.directories.values()), **options)

    def cpu_ns(self) -> int:
        """CPU time used in here and below, in nanoseconds: cpuacct.usage, or cpu.stat's usage_usec."""
        if version() == 1:
            return self.number("cpuacct.usage")
        return int(dict(line.split() for line in read(self._path("cpu.stat")).splitlines())["usage_usec"]) * 1000

    def child(self, name: str, controller: str) -> Path:
        """Make a group inside this one, for `controller`; on v2 all controllers are handed down to it first."""
        if version() == 2:
            for each in self.read("cgroup.controllers").split():
                self.write("cgroup.subtree_control", f"+{each}")
        made = self[controller] / name
        made.mkdir(exist_ok=True)
        return made

    def pids(self) -> list[int]:
        """The processes in here and below."""
        return sorted({pid for directory in self.directories.values() for pid in pids_below(str(directory))})

    def freeze(self) -> None:
        """Stop all processes in here; returns when they have stopped."""
        self._freezer("FROZEN", "1")
        while not self.frozen():
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let them go on."""
        self._freezer("THAWED", "0")

    def frozen(self) -> bool:
        """Whether all have stopped: v1 says FROZEN (FREEZING before), v2 ``frozen 1`` in cgroup.events."""
        if version() == 1:
            return self.read("freezer.state") == "FROZEN"
        return "frozen 1" in read(self._path("cgroup.events"))

    def _freezer(self, on_v1: str, on_v2: str) -> None:
        if version() == 1:
            self.write("freezer.state", on_v1)
        else:
            write(self._path("cgroup.freeze"), on_v2)

    def remove(self) -> None:
        """Kill what is inside, then rmdir. Repeatable. Nobody can fork meanwhile where there is a pids controller."""
        if not any(d.is_dir() for d in self.directories.values()):
            return
        cleanup.quiet(self.directories.values())
        cleanup.end(self.pids())
        for directory in dict.fromkeys(map(str, self.directories.values())):
            remove_tree(directory)

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def joining(argv: Sequence[str], *directories: Path) -> list[str]:
    """The command line of a shell that joins each cgroup by hand, then becomes `argv`."""
    writes = "".join(f"echo $$ > {d}/cgroup.procs && " for d in dict.fromkeys(directories))
    return ["sh", "-c", f'{writes}exec "$@"', "sh", *argv]

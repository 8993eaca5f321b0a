"""Nothing stays behind: what a chapter leaves is found by its label, taken away at the next start, and asserted at the end.

A chapter marks all it makes. Then a kernel that died in the middle costs nothing: the chapter's first cell finds the marks
of its predecessor and takes everything away, and nothing that belongs to somebody else.

    containers       the label ``minidock.chapter=03-namespaces``
    processes        ``MINIDOCK_CHAPTER=03-namespaces`` in their environment (/proc/PID/environ)
    mounts, loops,   below the chapter's scratch folder ``/tmp/minidock-lab-03``, or ``/var/tmp/minidock-lab-03`` for what
    swap, files      must lie on a disk
    links, cgroups,  a name (a comment, for a rule) that starts with ``lab03``; cgroups also below an instance's,
    network          and in v1 hierarchies that are mounted nowhere (``hiddenmount``)
    namespaces, rules
    huge pages       the machine's number of them, noted in the scratch folder

What the *engine* made for the chapter's containers carries the container's id, or hangs on the instance's bridge. So `orphans`
looks for cgroups whose id no container has, and `snapshot` for links and mounts of this instance: what is there at the end,
was not at the beginning, and belongs to no container, is a leak. Other instances are none of our business.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from minidock.lab import hiddenmount, hugepages, loopdisk, swapfile
from minidock.libcontainer.cgroups.hierarchy import remove_tree

LABEL = "minidock.chapter"
VARIABLE = "MINIDOCK_CHAPTER"
_HEX_ID = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True)
class Leftover:
    """One thing that should not be there: its `kind` (mount, loop, link, cgroup, …) and `name`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Marks:
    """The marks of one chapter ("03-namespaces"), all made from its name."""

    chapter: str

    @property
    def prefix(self) -> str:
        """What the names of links, cgroups, network namespaces and rule comments start with: ``lab03``."""
        return f"lab{self.chapter.partition('-')[0]}"

    @property
    def scratch(self) -> Path:
        """The folder for everything that the chapter mounts or writes by hand."""
        return Path(f"/tmp/minidock-lab-{self.chapter.partition('-')[0]}")

    @property
    def disk(self) -> Path:
        """The folder for what must lie on a disk (a swap file, the file of a loop device): /tmp may be memory."""
        return Path(f"/var/tmp/minidock-lab-{self.chapter.partition('-')[0]}")

    @property
    def folders(self) -> tuple[Path, Path]:
        """Both."""
        return self.scratch, self.disk

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this chapter has in its environment."""
        return {VARIABLE: self.chapter}


def marked(marks: Marks) -> list[Leftover]:
    """Everything on this machine that carries the chapter's marks, containers aside (the engine lists those)."""
    return [
        *(Leftover("process", str(pid)) for pid in _processes(marks)),
        *(Leftover("mount", point) for point in _mounts() if any(_below(point, f) for f in marks.folders)),
        *(Leftover("swap", a.path) for a in swapfile.areas() if any(_below(a.path, f) for f in marks.folders)),
        *(Leftover("loop", device) for f in marks.folders for device, _file in _loops(f)),
        *(Leftover("link", name) for name in _names("/sys/class/net", marks.prefix)),
        *(Leftover("netns", name) for name in _names("/run/netns", marks.prefix)),
        *(Leftover("cgroup", str(path)) for path in _cgroups(marks.prefix)),
        *(Leftover("hidden cgroup", name) for name in hiddenmount.left(marks.prefix)),
        *(Leftover("rule", rule) for rule in _rules(marks.prefix)),
        *(Leftover("folder", str(p)) for p in marks.folders if p.exists()),
    ]


def take_away(marks: Marks) -> list[Leftover]:
    """Take away everything `marked` finds, in the order that works: processes, mounts, swap, names, folders. Returns what was
    there. Raises OSError if something cannot be taken away."""
    quiet(_cgroups(marks.prefix))
    there = marked(marks)
    by_kind = {kind: [x.name for x in there if x.kind == kind] for kind in {x.kind for x in there}}
    end([int(pid) for pid in by_kind.get("process", [])])
    for point in reversed(by_kind.get("mount", [])):
        subprocess.run(["umount", "--lazy", point], check=True)
    for path in by_kind.get("swap", []):
        swapfile.switch_off(path)
    for device, file in [x for f in marks.folders for x in _loops(f)]:
        loopdisk.put_scheduler_back(Path(device).name, file)
        loopdisk.detach(device)
    for name in by_kind.get("link", []):
        if Path("/sys/class/net", name).exists():  # the other end of a veth pair goes with the first
            subprocess.run(["ip", "link", "delete", name], check=True)
    for name in by_kind.get("netns", []):
        subprocess.run(["ip", "netns", "delete", name], check=True)
    for path in sorted(by_kind.get("cgroup", []), key=len, reverse=True):
        remove_tree(path)
    hiddenmount.remove_left(marks.prefix)
    for rule in by_kind.get("rule", []):
        table, _, text = rule.partition(" ")
        subprocess.run(["iptables", "-w", "-t", table, "-D", *shlex.split(text)[1:]], check=True)
    for folder in by_kind.get("folder", []):
        hugepages.put_back(Path(folder))
        shutil.rmtree(folder)
    return there


def orphans(instance: str, known: Iterable[str]) -> set[Leftover]:
    """Cgroups of the instance ("minidock") named by a full container id that is none of `known`, in any hierarchy."""
    ids = set(known)
    return {
        Leftover("cgroup", str(path))
        for folder in _hierarchy_folders(instance)
        for path in folder.iterdir()
        if _HEX_ID.match(path.name) and path.name not in ids
    }


def snapshot(root: Path, bridge: str) -> set[Leftover]:
    """What an instance shows on the host: mounts below its state folder, links on its bridge. Two snapshots' difference is
    what came to stay."""
    links = Path("/sys/class/net")
    return {
        *(Leftover("mount", point) for point in _mounts() if _below(point, root)),
        *(Leftover("link", link.name) for link in links.iterdir() if (link / "master").resolve().name == bridge),
    }


def _processes(marks: Marks) -> Iterator[int]:
    wanted = f"{VARIABLE}={marks.chapter}".encode()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if wanted in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                    yield int(name)


def quiet(directories: Iterable[Path]) -> None:
    """Let nobody in these cgroups fork any more, and nobody stay frozen: then a list of their processes stays true, and a
    kill reaches them (a process frozen by v1 dies only when it goes on)."""
    for directory in directories:
        for name, value in (("pids.max", "0"), ("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with suppress(FileNotFoundError):
                descriptor = os.open(directory / name, os.O_WRONLY | os.O_CLOEXEC)
                with open(descriptor, "w", encoding="ascii") as file:
                    file.write(value)


def end(pids: Iterable[int]) -> None:
    """SIGKILL each through a pidfd, then wait until it is gone (our own children are reaped)."""
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
            deadline = time.monotonic() + 5
            while _alive(fd) and time.monotonic() < deadline:
                time.sleep(0.005)
        except ProcessLookupError:
            continue
        finally:
            os.close(fd)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _alive(pidfd: int) -> bool:
    """Whether the process behind the pidfd still runs: a pidfd becomes readable when it ends (pidfd_open(2))."""
    import select

    return not select.select([pidfd], [], [], 0.05)[0]


def _mounts() -> list[str]:
    """The mount points of our mount namespace, in the order they were made (proc(5), mountinfo)."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4].replace("\\040", " ") for line in lines]


def _below(point: str, folder: Path) -> bool:
    return point == str(folder) or point.startswith(f"{folder}/")


def _loops(folder: Path) -> Iterator[tuple[str, str]]:
    """Loop devices whose file lies below `folder`, and that file (sysfs, ABI/testing/sysfs-block: loop/backing_file)."""
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        file = backing.read_text().strip().removesuffix(" (deleted)")
        if _below(file, folder):
            yield f"/dev/{backing.parts[3]}", file


def _names(folder: str, prefix: str) -> list[str]:
    return sorted(n for n in os.listdir(folder) if n.startswith(prefix)) if os.path.isdir(folder) else []


def _hierarchy_folders(pattern: str) -> Iterator[Path]:
    """Folders directly below the root of each cgroup hierarchy, v1 and v2, that match `pattern`."""
    roots = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup" in line}
    for root in sorted(roots):
        # glob(3)'s way: a folder that goes while it is looked at (another instance's) is not there
        yield from (Path(found) for found in sorted(glob.glob(f"{root}/{pattern}")) if os.path.isdir(found))


def _cgroups(prefix: str) -> Iterator[Path]:
    """By hand directly below a hierarchy's root, or below an instance's cgroup (``minidock/lab04``, under its ceiling)."""
    for pattern in (f"{prefix}*", f"minidock*/{prefix}*"):
        for folder in _hierarchy_folders(pattern):
            yield folder
            yield from (Path(above, name) for above, names, _files in os.walk(folder) for name in names)


def _rules(prefix: str) -> Iterator[str]:
    """iptables rules with a comment that starts with `prefix`, as "TABLE -A CHAIN …"."""
    if shutil.which("iptables-save") is None:
        return
    table = ""
    saved = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith("-A") and f"--comment {prefix}" in line.replace('"', ""):
            yield f"{table} {line}"

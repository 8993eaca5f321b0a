"""The mounted cgroup trees, and the few file operations on them that both versions share."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from minidock.errors import SystemFault
from minidock.linux.files import read_small
from minidock.linux.trace import traced

# Mount options that are no controllers (kernel/cgroup/cgroup-v1.c: cgroup1_show_options).
_OPTIONS = {"rw", "ro", "noprefix", "xattr", "clone_children", "cpuset_v2_mode", "favordynmods"}
# "The usual controllers": with one of these in the unified tree the machine is a v2 machine. hugetlb, rdma or misc alone
# are not a sign, since a v1 machine leaves what it does not use to v2.
_USUAL = {"cpu", "memory", "pids", "io", "cpuset"}
# How long `remove` waits for the last processes to be gone, in seconds.
REMOVE_TIMEOUT = 5.0


class Hierarchy(NamedTuple):
    """One mounted cgroup tree: its `version` (1 or 2), what it controls, and where it is."""

    version: int
    controllers: tuple[str, ...]
    mountpoint: str


def parse_mountinfo(text: str) -> list[Hierarchy]:
    """The cgroup trees in the text of /proc/self/mountinfo (proc_pid_mountinfo(5)), the first mount of each.

    v1's controllers stand among the super block's options; a v2 tree's do not, so its `controllers` are empty here.
    """
    found: dict[tuple[str, ...], Hierarchy] = {}
    for line in text.splitlines():
        mount, _, filesystem = line.partition(" - ")
        kind, _, rest = filesystem.partition(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        mountpoint = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), mount.split(" ")[4])
        if kind == "cgroup2":
            found.setdefault(("cgroup2",), Hierarchy(2, (), mountpoint))
            continue
        options = rest.split(" ")[-1].split(",")
        controllers = tuple(o for o in options if o.startswith("name=") or ("=" not in o and o not in _OPTIONS))
        found.setdefault(controllers, Hierarchy(1, controllers, mountpoint))
    return list(found.values())


def hierarchies() -> list[Hierarchy]:
    """The cgroup trees mounted in this mount namespace. Not cached (60 µs): a reader of chapter 04 mounts one more."""
    found = parse_mountinfo(read("/proc/self/mountinfo"))
    return [
        h if h.version == 1 else Hierarchy(2, tuple(read(f"{h.mountpoint}/cgroup.controllers").split()), h.mountpoint)
        for h in found
    ]


def unified(trees: Sequence[Hierarchy]) -> Hierarchy | None:
    """The v2 tree if this machine is a v2 machine: one that has the usual controllers. None on v1 and hybrid hosts."""
    return next((h for h in trees if h.version == 2 and _USUAL & set(h.controllers)), None)


def offers(trees: Sequence[Hierarchy], file: str) -> bool:
    """Whether a cgroup of ours would have the control file `file` (``cpu.cfs_quota_us``) on this machine.

    The controller must be there, and the kernel must have been built (or started) with that file. The root of a tree lacks
    some files that every other cgroup has, so any cgroup directly below it is asked too; where there is none yet, or its
    controllers are not handed down so far, the answer comes from what the root shows.
    """
    controller = file.partition(".")[0]
    tree = next((h for h in trees if controller in h.controllers), None)
    if tree is None:
        return False
    if os.path.exists(f"{tree.mountpoint}/{file}"):
        return True
    with os.scandir(tree.mountpoint) as entries:
        children = [e.path for e in entries if e.is_dir(follow_symlinks=False)]
    for child in children:
        if os.path.exists(f"{child}/{file}"):
            return True
        with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile: the next one is as good
            if tree.version == 1 and os.path.isdir(child):
                return False
            if tree.version == 2 and controller in read(f"{child}/cgroup.controllers").split():
                return False
    sign = _SIGNS.get((tree.version, file), "" if tree.version == 2 else None)
    return sign is not None and os.path.exists(f"{tree.mountpoint}/{sign}")


# Without a cgroup to look at: the file in the root that the kernel makes together with this one. On v1, what is not named
# stands in the root too; on v2 next to nothing does, and what is not named is there whenever its controller is.
_SIGNS = {
    (1, "pids.max"): "",
    (1, "freezer.state"): "",
    (1, "blkio.bfq.weight"): "blkio.bfq.io_service_bytes",
    (1, "blkio.bfq.weight_device"): "blkio.bfq.io_service_bytes",
    (2, "io.weight"): "io.cost.qos",
    (2, "io.bfq.weight"): None,  # nothing in the root tells
}


@contextmanager
def fault(step: str) -> Iterator[None]:
    """An OSError inside becomes SystemFault(step, its path, its errno)."""
    try:
        yield
    except OSError as e:
        raise SystemFault.from_oserror(step, e) from e


def read(path: str) -> str:
    """The whole text of a kernel file. Raises OSError; FileNotFoundError also if the cgroup is removed while we read."""
    try:
        return os.fsdecode(read_small(path))
    except OSError as e:
        number = _gone(e, path)
        raise OSError(number, os.strerror(number), path) from None


@traced
def write(path: str, *values: str) -> None:
    """Write each value with a write(2) of its own: the kernel takes one setting per call. OSError names the file;
    FileNotFoundError also if the cgroup is removed while we write."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for value in values:
            os.write(fd, value.encode())
    except OSError as e:
        number = _gone(e, path)
        raise OSError(number, f"write {value!r}: {os.strerror(number)}", path) from None
    finally:
        os.close(fd)


def write_all(changes: Sequence[tuple[str, str]]) -> None:
    """Write each (path, value) in turn; when one is refused, put the values before it back, the last one first.

    Raises OSError as `write` does.
    """
    with ExitStack() as undo:
        for path, value in changes:
            undo.callback(write, path, previous(os.path.basename(path), read(path), value))
            write(path, value)
        undo.pop_all()


def previous(name: str, text: str, value: str) -> str:
    """What to write into the control file `name`, whose text is now `text`, to take the writing of `value` back.

    Most files are written as they read. Files with a line per device take one line, and need a word for "as if never set"
    where the device has none; bfq and iocost call it ``default``, the throttles of v1 ``0``. memory.oom_control shows more
    than it takes.
    """
    device, found, _ = value.partition(" ")
    if not found or ":" not in device:
        first = text.partition("\n")[0].strip()
        return (first.split()[1] if name == "memory.oom_control" else first) or "\n"  # an empty cpuset takes an empty line
    line = next((line for line in text.splitlines() if line.startswith(f"{device} ")), None)
    if line is not None:
        return line
    if name == "io.max":
        return f"{device} rbps=max wbps=max riops=max wiops=max"
    return f"{device} {'0' if '.throttle.' in name else 'default'}"


def _gone(error: OSError, path: str) -> int:
    """The error's number; ENOENT for the ENODEV that an open file of a removed cgroup answers (kernfs_fop_read_iter).

    A file that is still there answers ENODEV too, when the value names a block device that is none.
    """
    if error.errno == errno.ENODEV and not os.path.exists(path):
        return errno.ENOENT
    return error.errno or 0


@traced
def mkdir(path: str) -> None:
    """Make one cgroup (mkdir(2))."""
    os.mkdir(path, 0o755)


@traced
def rmdir(path: str) -> None:
    """Remove one cgroup (rmdir(2)); it is no error when it is not there."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return


def below(directory: str) -> Iterator[str]:
    """`directory` and all cgroups made below it, the deepest first. One that disappears meanwhile is left out."""
    try:
        with os.scandir(directory) as entries:
            children = [e.path for e in entries if e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for child in children:
        yield from below(child)
    yield directory


def pids_below(directory: str) -> list[int]:
    """The processes in this cgroup and in those below it."""
    found: set[int] = set()
    for cgroup in below(directory):
        try:
            found.update(int(p) for p in read(f"{cgroup}/cgroup.procs").split())
        except FileNotFoundError:
            continue
        except OSError as e:
            if e.errno not in (errno.ENODEV, errno.EOPNOTSUPP):  # removed under the open file; a threaded cgroup
                raise
    return sorted(found - {0})


def thaw_below(directory: str) -> None:
    """Let everything in this cgroup and below it go on, also what a container has frozen in a cgroup of its own."""
    for cgroup in below(directory):
        for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            try:
                if os.path.exists(f"{cgroup}/{name}"):
                    write(f"{cgroup}/{name}", value)
            except OSError as e:
                if e.errno not in (errno.ENOENT, errno.ENODEV):  # gone meanwhile
                    raise


def available_cpuset(trees: Sequence[Hierarchy], kind: str) -> str:
    """The machine's "cpus" or "mems", as the kernel lists them (``0-1``). A cpuset hierarchy is there. Raises OSError."""
    if tree := unified(trees):
        return read(f"{tree.mountpoint}/cpuset.{kind}.effective").strip()
    mount = next(tree.mountpoint for tree in trees if "cpuset" in tree.controllers)
    return read(f"{mount}/cpuset.{kind}").strip()


def remove_tree(directory: str) -> None:
    """Remove a cgroup with those below it; the processes in it are dead or dying.

    A process that was waited for can be counted for a moment longer (it leaves its cgroup in the scheduler's last switch,
    after it became a zombie), and v1 tells nobody when a cgroup is empty: EBUSY is answered by asking again, soon at
    first. Raises SystemFault when it lasts longer than REMOVE_TIMEOUT.
    """
    pause, deadline = 0.0002, time.monotonic() + REMOVE_TIMEOUT
    while True:
        try:
            rmdir(directory)
            return
        except OSError as e:
            if e.errno not in (errno.EBUSY, errno.ENOTEMPTY) or time.monotonic() > deadline:
                raise SystemFault.from_oserror("remove cgroup", e) from e
        for child in below(directory):
            try:
                rmdir(child)
            except OSError as e:
                if e.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                    raise SystemFault.from_oserror("remove cgroup", e) from e
                break
        else:
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.02)

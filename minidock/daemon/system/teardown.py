"""``./lab clean``: take away all that one instance put on the machine, whatever state it is in.

It goes by names, not by records, so that it also works on what a crash, or somebody's ``rm -rf``, has left::

    ROOT/containers             renamed first: nobody can start one any more
    processes                   in the instance's cgroups (containers, shims, zygote), and outside of them those whose command
                                line says that they are ours (an after-exit process that waits to start a container again)
    RUN/cgroups                 what --cgroup-parent has put elsewhere
    mounts below ROOT           detached, so that nothing is ever deleted through one
    MINIDOCK[-<8HEX>], bridge   chains, and the links on the bridge
    RUN, ROOT                   deleted; a ROOT that is a mount point of its own is emptied

Another instance, and Docker, are not touched. Forwarding (ip_forward) stays on: somebody else may need it by now.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from minidock.daemon.base.paths import Paths
from minidock.daemon.record import cgroup_parent
from minidock.daemon.record.network import bridge_names
from minidock.errors import SystemFault
from minidock.execdriver import cgroups, spawn
from minidock.graphdriver.tree import remove_tree
from minidock.linux import files, mount, netlink, process
from minidock.networkdriver import bridge, iptables

PATIENCE = 10.0  # seconds that killed processes may take to be gone


def teardown(root: str | os.PathLike[str] | None = None) -> None:
    """Remove the instance whose state is in `root`. Repeatable. Raises SystemFault naming what could not be removed."""
    paths = Paths.of(root)
    try:
        forget_containers(paths)
        kill_all(paths)
        cgroup_parent.remove_all(paths)
        unmount_below(paths.root)
        remove_network(paths)
        for directory in (paths.run, paths.root):
            remove(directory)
    except OSError as error:
        raise SystemFault.from_oserror("clean", error) from error


def forget_containers(paths: Paths) -> None:
    """Rename the containers' folder: an engine that still looks after one finds that it is removed, and lets it be."""
    with contextlib.suppress(FileNotFoundError):
        paths.containers.rename(paths.root / f".containers.{os.getpid()}")


def kill_all(paths: Paths) -> None:
    """SIGKILL every process of the instance until there is none, then remove its cgroups. SystemFault if one will not die."""
    deadline = time.monotonic() + PATIENCE
    group = cgroups.manager(f"/{paths.instance}") if cgroups.hierarchies() else None
    while pids := {*(members(group) if group else ()), *strangers(paths)}:
        with contextlib.ExitStack() as stack:
            pidfds = list(open_all(pids, stack))
            if group:
                for child in children(group):
                    child.kill()  # under a freeze: no fork runs ahead of it
            for fd in pidfds:
                with contextlib.suppress(ProcessLookupError):
                    process.pidfd_send_signal(fd, signal.SIGKILL)
            if group:
                for directory in set(group.paths().values()):
                    cgroups.thaw_below(directory)  # what is paused dies only when it goes on
            for fd in pidfds:
                if not select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise SystemFault("end the processes of", paths.instance, errno.EBUSY)
    if group:
        group.remove()


def open_all(pids: Iterable[int], stack: contextlib.ExitStack) -> Iterator[int]:
    """A pidfd for each process that still is there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            fd = process.pidfd_open(pid)
            stack.callback(os.close, fd)
            yield fd


def members(group: cgroups.Manager) -> set[int]:
    """The processes in the instance's cgroup and below, in any hierarchy: one that was stopped while joining is in some."""
    return {pid for directory in set(group.paths().values()) for pid in cgroups.pids_below(directory)}


def children(group: cgroups.Manager) -> list[cgroups.Manager]:
    """The cgroups directly below: each container's, and that of the shims."""
    names = {entry.name for d in set(group.paths().values()) if os.path.isdir(d) for entry in os.scandir(d) if entry.is_dir()}
    return [cgroups.manager(f"{group.path}/{name}") for name in sorted(names)]


def strangers(paths: Paths) -> Iterator[int]:
    """Processes of the instance by their command lines (proc(5)): a zygote and its forks name their socket, an after-exit
    process the state root. They are outside of our cgroups if an engine started them, or if there are none to be in."""
    after = [b"minidock.daemon.exits.entry", os.fsencode(paths.root)]
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            if spawn.is_ours(words, paths.run) or any(words[i : i + 2] == after for i in range(len(words))):
                yield int(name)


def unmount_below(root: Path) -> None:
    """Detach what is mounted under `root` (a layer that was being looked at when its process was killed; a volume's disk)."""
    for target in reversed(mountpoints()):
        if target.startswith(os.fsencode(f"{root}/")):
            mount.umount(os.fsdecode(target), mount.MNT_DETACH)


def mountpoints() -> list[bytes]:
    """All of this mount namespace, in the order they were made; mountinfo writes blanks and the like in octal (proc(5))."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), line.split()[4]) for line in lines]


def remove_network(paths: Paths) -> None:
    """The bridge, what is plugged into it, and its rules; whether or not anything is written about them."""
    link, chain = bridge_names(paths)
    with files.flock(bridge.LOCK):
        with netlink.Rtnl() as rtnl:
            ports = [port.name for port in Path(f"/sys/class/net/{link}/brif").glob("*")]
            for name in (*ports, link):
                with contextlib.suppress(FileNotFoundError):
                    delete_link(rtnl, name)
        iptables.remove(chain)


def delete_link(rtnl: netlink.Rtnl, name: str) -> None:
    """Delete a link, unless it has gone by itself."""
    try:
        rtnl.delete(name)
    except OSError as error:
        if error.errno not in (errno.ENODEV, errno.ENXIO):
            raise


def remove(directory: Path) -> None:
    """Delete a folder with all in it. An engine in another process may still be writing there: then once more."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return remove_tree(str(directory))
        except FileNotFoundError:
            if not directory.exists():
                return
        except OSError as error:
            if error.errno == errno.EBUSY and os.fsencode(directory) in mountpoints():
                return
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if time.monotonic() > deadline:
            raise SystemFault("remove", str(directory), errno.ENOTEMPTY)


if __name__ == "__main__":
    teardown(sys.argv[1] if len(sys.argv) > 1 else None)

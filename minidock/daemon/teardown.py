"""``./lab clean``: take away all that one instance put on the machine, whatever state it is in.

It goes by names, not by records, so that it also works on what a crash has left: every process in the instance's cgroups
(containers, shims, zygote), mounts below its root, its cgroups, its bridge and rules, its run directory and its state.
Another instance, and Docker, are not touched.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
from pathlib import Path

from minidock.daemon.network import Networks
from minidock.daemon.paths import Paths
from minidock.errors import SystemFault
from minidock.libcontainer import cgroups
from minidock.linkgraph import LinkGraph
from minidock.linux import mount, process
from minidock.networkdriver.bridge import Bridge


def teardown(root: str | os.PathLike[str] | None = None) -> None:
    """Remove the instance whose state is in `root`. Repeatable. Raises SystemFault naming what could not be removed."""
    paths = Paths.of(root)
    kill_all(f"/{paths.instance}")
    unmount_below(paths.root)
    remove_network(paths)
    for directory in (paths.run, paths.root):
        try:
            shutil.rmtree(directory)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SystemFault.from_oserror("remove", error) from error


def kill_all(cgroup: str) -> None:
    """SIGKILL every process in the cgroup and below, wait until they are gone, remove the directories."""
    manager = cgroups.manager(cgroup)
    while pids := manager.pids():
        with contextlib.ExitStack() as stack:
            fds = []
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    fds.append(process.pidfd_open(pid))
                    stack.callback(os.close, fds[-1])
            for child in children(manager):  # one by one: each may be paused, and is thawed by its own kill
                child.kill()
            for fd in fds:
                select.select([fd], [], [])
    manager.remove()


def children(manager: cgroups.Manager) -> list[cgroups.Manager]:
    """The cgroups directly below: each container's, and that of the shims."""
    names = {entry.name for d in manager.paths().values() if os.path.isdir(d) for entry in os.scandir(d) if entry.is_dir()}
    return [cgroups.manager(f"{manager.path}/{name}") for name in sorted(names)]


def unmount_below(root: Path) -> None:
    """Detach what is mounted under `root` (a layer that was being looked at when its process was killed)."""
    for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
        target = line.split()[4].encode().decode("unicode_escape")
        if target.startswith(f"{root}/"):
            mount.umount(target, mount.MNT_DETACH)


def remove_network(paths: Paths) -> None:
    """The bridge and its rules."""
    if not (paths.root / "linkgraph.db").exists():
        return
    links = LinkGraph(paths.root / "linkgraph.db")
    try:
        bridge = Networks(paths, links).driver("bridge")
        if isinstance(bridge, Bridge):
            bridge.remove()
    finally:
        links.close()


if __name__ == "__main__":
    teardown(sys.argv[1] if len(sys.argv) > 1 else None)

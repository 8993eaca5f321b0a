"""How a container goes away: renamed out of sight in one step, then taken apart.

From the rename on the container does not exist for anybody. What is in ``tmp/<id>`` is the list of what remains to be done: if
this process dies in the middle, the next engine finds the folder with nobody holding its lock, and finishes (`sweep`).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from minidock.daemon.base.rmtree import remove_tree
from minidock.daemon.record import cgroup_parent, execs, names, volumes
from minidock.daemon.record.container import Container, read_record
from minidock.errors import ContainerNotFound, SystemFault
from minidock.linux import trace

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.request.wire import Record


def remove(engine: Engine, container: Container, *, volumes: bool) -> None:
    """Remove a container that does not run. Silently does nothing if somebody else was faster."""
    try:
        with container.locked():
            remove_locked(engine, container, volumes=volumes)
    except ContainerNotFound:
        return


def remove_locked(engine: Engine, container: Container, *, volumes: bool) -> None:
    """Remove a container whose lock the caller holds. `volumes`: its anonymous ones too."""
    if not volumes and any(point["anonymous"] for point in container.record["MountPoints"]):
        container.record["KeepVolumes"] = True
        container.save()
    half = engine.paths.tmp / container.id
    with trace.step("rename", half):
        container.directory.rename(half)
    finish(engine, container.id)


def finish(engine: Engine, id: str) -> None:
    """Take apart what is in ``tmp/<id>``; the caller holds its lock. A fault is tried a second time: every step is safe to
    repeat, and one that was interrupted is thereby completed. Raises the second fault; the folder stays for the next engine.
    """
    try:
        sweep(engine, id)
    except (OSError, SystemFault):
        sweep(engine, id)


def sweep(engine: Engine, id: str) -> None:
    """Free everything that belongs to container `id`, the folder in ``tmp`` last."""
    half = engine.paths.tmp / id
    record = read_record(half)
    # One that was killed early wrote no record; what is done here asks for nothing that must be in it.
    container = Container(engine, id, record or cast("Record", {}), half)
    engine.layers.remove(id)
    begun = not record or engine.paths.run_dir(id).exists()  # a creation that was killed, or a start whose shim was
    if begun and not (half / "exit.json").exists():
        remove_cgroup(container)
    remove_tree(engine.paths.run_dir(id))
    execs.forget(engine, id)
    remove_volumes(container)
    release_addresses(container)
    cgroup_parent.release(engine, container)
    names.release(engine, id)
    remove_claimed(half)


def remove_claimed(half: Path) -> None:
    """Delete ``tmp/<id>``, its lock last: once that is gone, who is about to make the container may have claimed the folder
    again (``create.claim``), and then it is no longer ours."""
    if not half.exists():
        return
    with trace.step("rmtree", half):
        for entry in list(os.scandir(half)):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(Path(entry.path))
            elif entry.name != "lock":
                os.unlink(entry.path)
        (half / "lock").unlink(missing_ok=True)
        try:  # not empty: who looked for its lock has made a new one, and has the folder now
            half.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):
                raise


def remove_cgroup(container: Container) -> None:
    """The shim has done this, unless it was killed. Then the container must end with it, and somebody has to see to that: the
    kernel forgets PR_SET_PDEATHSIG when a process changes its user or executes a set-user-ID program."""
    from minidock.execdriver import cgroups

    group = cgroups.manager(container.cgroup)
    group.kill()
    group.remove()


def remove_volumes(container: Container) -> None:
    """The anonymous volumes, unless the user wanted to keep them."""
    if container.record.get("KeepVolumes"):
        return
    for point in container.record.get("MountPoints") or ():
        if point["kind"] == "volume" and point["anonymous"]:
            volumes.remove(container.engine, point["name"])


def release_addresses(container: Container) -> None:
    """Addresses of a container that went before it could give them back."""
    container.engine.links.execute("DELETE FROM addresses WHERE container=?", container.id)

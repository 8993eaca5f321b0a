"""What an engine does first: take back what killed processes left half done.

Nothing here looks at every container. Each thing that can be left half done has a mark where this looks: ``tmp/<id>`` while a
container is being made or removed, ``RUN/<id>`` from the begin of a start until everything after the exit is done. A living
owner holds a lock or answers on a socket. When all is well that is two directory listings and one connect per running
container. After a reboot /run is empty, and that one time all containers are looked at. What only the clean-up needs is
imported when there is something to clean up.

Containers that ran when the machine went down are not started here, whatever their restart policy says: a ``minidock ps``
should start nothing. The daemon does that (``system/after_boot.py``) when it is started.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from minidock.errors import ContainerNotFound
from minidock.linux import files, trace

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

_ID = re.compile(r"[0-9a-f]{64}")


def reconcile(engine: Engine) -> None:
    """Clean up after processes that were killed. Raises SystemFault only if the state directory cannot be read."""
    inside = os.listdir(engine.paths.tmp)
    for name in inside:
        finish_removal(engine, name)
    if any(name.endswith(".lock") and unowned(engine.paths.tmp / name) for name in inside):
        engine.images.sweep()
    for name in os.listdir(engine.paths.run):
        if _ID.fullmatch(name) and not attended(engine, name):
            finish_run(engine, name)
    mark = engine.paths.run / "reconciled"
    if not mark.exists():
        after_boot(engine)
        mark.touch(mode=0o600)


def finish_removal(engine: Engine, name: str) -> None:
    """``tmp/<name>``: if nobody holds its lock, whoever made or removed it is dead: take it apart."""
    from minidock.daemon.record import removal
    from minidock.daemon.record.container import same_file

    path = engine.paths.tmp / name
    if not _ID.fullmatch(name):
        return  # a scratch directory: `ImageStore.sweep`
    try:
        with files.flock(path / "lock", blocking=False) as fd:
            if same_file(fd, path / "lock"):  # else it got whole, or was taken apart, between our open and our flock
                removal.finish(engine, name)
    except (BlockingIOError, FileNotFoundError):
        return


def unowned(lock: Path) -> bool:
    """Whether nobody holds a scratch directory's lock (``graphdriver/scratch.py``)."""
    try:
        with files.flock(lock, shared=True, blocking=False):
            return True
    except BlockingIOError:
        return False


def attended(engine: Engine, id: str) -> bool:
    """Whether a shim, or somebody who waits for a restart, answers for this run."""
    return any(answers(f"{engine.paths.run}/{id}/{name}.sock") for name in ("shim", "restart"))


def answers(path: str) -> bool:
    """Whether somebody listens on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def finish_run(engine: Engine, id: str) -> None:
    """``RUN/<id>`` without a shim: unless somebody is at it (the lock), do what is due after that run."""
    from minidock.daemon.base.rmtree import remove_tree
    from minidock.daemon.exits.due import finish
    from minidock.daemon.exits.settle import end_orphan
    from minidock.daemon.record import network, removal
    from minidock.daemon.record.container import Container

    try:
        container = Container.load(engine, id)
        with container.locked(blocking=False):
            state = end_orphan(container)
            if state.running:
                return
            removal.remove_cgroup(container)
            network.release(engine, container)  # also of a start that never came to a run
            restart_due = finish(engine, container, state)
        if restart_due:
            restart(engine, id, state.run)
    except BlockingIOError:
        return
    except ContainerNotFound:
        remove_tree(engine.paths.run_dir(id))


def restart(engine: Engine, id: str, run: int) -> None:
    """Let a process of its own wait and start the container again: this one may end at any time."""
    import subprocess

    with trace.step("spawn", "after-exit entry"):
        subprocess.Popen(
            engine.paths.exit_entry(id, run),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def after_boot(engine: Engine) -> None:
    """The first engine since the machine came up: runs that the power took are written down, --rm is done, addresses free."""
    from minidock.daemon.exits.due import finish
    from minidock.daemon.record.container import Container

    for id in os.listdir(engine.paths.containers):
        try:
            container = Container.load(engine, id)
            with container.locked(blocking=False):
                state = container.state()
                if state.run and not state.running:
                    finish(engine, container, state)
        except (BlockingIOError, ContainerNotFound):
            continue

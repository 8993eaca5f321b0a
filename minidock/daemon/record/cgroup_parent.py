"""``--cgroup-parent``: a container's cgroup elsewhere than in the instance's own, beside others with which it shares a limit.

::

    (none)      /minidock/<id>                  below the instance's ceiling, as always
    group       /minidock/group/<id>            a relative path is below the instance's cgroup
    /lab/group  /lab/group/<id>                 an absolute one begins at the root of every hierarchy, as docker's

Levels that are missing are made, the first of them with a ceiling like the instance's, and go when the last container that uses
them is removed; what was there before is left as it is. ``RUN/cgroups`` lists what is ours, directories that we have made and
the cgroups of containers in them, so that ``./lab clean`` finds them without any record.

Sources: docker run(1), --cgroup-parent; for relative paths, which docker leaves to runc, runc's ``cgroups/fs/paths.go``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from minidock.daemon.base.paths import Paths
from minidock.daemon.record.container import Container, read_json
from minidock.errors import InvalidParameter
from minidock.execdriver import cgroups
from minidock.linux import files

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

_ID = re.compile("[0-9a-f]{64}")
_NAME_MAX, _PATH_MAX = 255, 4096 - 255 - 1  # bytes; limits.h


def check(paths: Paths, parent: str) -> None:
    """Refuse a parent that no cgroup can be, or that holds our own helpers. Raises InvalidParameter."""
    found = paths.cgroup_parent(parent)
    names = os.fsencode(found).split(b"/")
    helpers = f"/{paths.instance}/shims"
    if max(map(len, names)) > _NAME_MAX or len(os.fsencode(found)) > _PATH_MAX or "\n" in parent:
        raise InvalidParameter(f"invalid cgroup parent: {parent!r}")
    if found == helpers or found.startswith(f"{helpers}/"):
        raise InvalidParameter(f"invalid cgroup parent: {parent!r} holds minidock's own processes")


def prepare(engine: Engine, container: Container) -> None:
    """Make the levels that are missing for a container that is about to start. Raises OSError, SystemFault."""
    parent = container.host_config.get("CgroupParent")
    if not parent:
        return
    levels = list(_levels(engine.paths.cgroup_parent(parent)))
    with _listed(engine.paths) as ours:
        missing = {level: [d for d in _directories(level) if not os.path.isdir(d)] for level in levels}
        _write(engine.paths, ours | {container.cgroup}.union(*missing.values()))  # listed and not there does no harm
        for level in levels:
            if len(missing[level]) == len(_directories(level)):
                cgroups.ensure_parent(level)  # with a ceiling
            elif missing[level]:
                cgroups.ensure(level)
        cgroups.hand_down(levels[-1])


def release(engine: Engine, container: Container) -> None:
    """After a container was removed: take away the levels that were made for it and that no other container uses."""
    parent = (container.record.get("HostConfig") or {}).get("CgroupParent")
    if not parent:
        return
    with _listed(engine.paths) as ours:
        ours.discard(container.cgroup)
        used = {level for path in _in_use(engine, container.id) for level in _levels(path)}
        for level in reversed(list(_levels(engine.paths.cgroup_parent(parent)))):
            if level not in used:
                ours -= {directory for directory in ours.intersection(_directories(level)) if _removed(directory)}
        _write(engine.paths, ours)


def remove_all(paths: Paths) -> None:
    """All that is listed, whatever state it is in: containers with what runs in them, then the levels. For teardown."""
    if not (paths.run / "cgroups").exists():
        return
    with _listed(paths) as ours:
        for path in sorted(ours, key=len, reverse=True):
            if _ID.fullmatch(os.path.basename(path)):
                group = cgroups.manager(path)
                group.kill()
                group.remove()
        for directory in sorted(ours, key=len, reverse=True):
            if not _ID.fullmatch(os.path.basename(directory)):
                _removed(directory)


def _levels(path: str) -> Iterator[str]:
    """``/a``, ``/a/b`` for ``/a/b``."""
    names = path.strip("/").split("/")
    yield from ("/" + "/".join(names[:count]) for count in range(1, len(names) + 1) if names[0])


def _directories(path: str) -> list[str]:
    return sorted(set(cgroups.manager(path).paths().values()))


def _removed(directory: str) -> bool:
    """Remove one cgroup in one hierarchy. False if something is in it."""
    try:
        cgroups.rmdir(directory)
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY):  # a process, or somebody's cgroup below
            raise
        return False
    return True


def _in_use(engine: Engine, removed: str) -> Iterator[str]:
    """The cgroup parents of the instance's other containers."""
    for folder in engine.paths.containers.iterdir():
        record = read_json(folder / "config.json") or {}
        parent = (record.get("HostConfig") or {}).get("CgroupParent")
        if parent and folder.name != removed:
            yield engine.paths.cgroup_parent(parent)


@contextlib.contextmanager
def _listed(paths: Paths) -> Iterator[set[str]]:
    """Hold the lock of the list; what is in it."""
    with files.flock(paths.run / "cgroups.lock"):
        file = paths.run / "cgroups"
        yield set(files.read_small(file).decode().splitlines()) if file.exists() else set()


def _write(paths: Paths, ours: set[str]) -> None:
    files.write_atomic(paths.run / "cgroups", "".join(f"{path}\n" for path in sorted(ours)), durable=False)

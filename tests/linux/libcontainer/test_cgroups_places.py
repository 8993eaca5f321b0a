"""Where a cgroup may be and to whom it may belong: a parent of one's own, delegation, and controllers that are missing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from minidock.errors import NotSupported
from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import v1, v2
from minidock.libcontainer.cgroups.hierarchy import hierarchies, unified
from minidock.libcontainer.cgroups.resources import Resources, dropped, settings
from minidock.libcontainer.config import Cgroup
from minidock.linux import mount, namespaces
from tests.linux.libcontainer.children import in_child
from tests.linux.libcontainer.groups import PARENT, PATH, another, born_in, inside, reap, sleeper, until, v2_tree
from tests.linux.libcontainer.limits import (
    CASES,
    DISK,
    MIB,
    expected,
    holds,
    wanted,
)


def test_a_parent_of_ones_own_is_made_and_stays(manager: cgroups.Manager) -> None:
    """--cgroup-parent: made with its ancestors in every hierarchy, limits hold below it, and removal takes the leaf alone."""
    path = f"{PARENT}/deep/er/x"
    inner = another(manager, path)
    inner.create(Cgroup(path, settings=wanted(manager, CASES["pids_limit"][0][0])))
    assert holds(inner, expected(manager, CASES["pids_limit"][0]))
    child = born_in(inner, sleeper)
    assert inner.pids() == [child[0]]
    inner.kill()
    reap(*child)
    inner.remove()
    for directory in inner.paths().values():
        assert not os.path.exists(directory)
        assert os.path.isdir(os.path.dirname(directory))


def test_v2_hands_down_below_a_parent_that_somebody_made(manager: cgroups.Manager) -> None:
    if not isinstance(manager, v2.Manager):
        return
    os.makedirs(manager.paths()[""].removesuffix("/x"))
    case = CASES["pids_limit"][0] if "pids" in manager.paths() else CASES["hugetlb"][0]
    assert expected(manager, case)
    manager.create(Cgroup(PATH, settings=wanted(manager, case[0])))
    assert holds(manager, expected(manager, case))


def test_v2_no_internal_processes(manager: cgroups.Manager) -> None:
    """A parent that holds processes cannot hand controllers down. Said with the reason; once they are gone, all is well."""
    tree = v2_tree()
    if not isinstance(manager, v2.Manager) or tree is None:
        return
    parent = v2.Manager(PARENT, tree)
    parent.create(Cgroup(PARENT))
    case = CASES["memory"][0] if "memory" in manager.paths() else CASES["hugetlb"][0]
    child = born_in(parent, sleeper)
    for each in (case, CASES["pids_limit"][0]):  # pids could be had, at the price of a threaded domain
        if settings_made := wanted(manager, each[0]):
            with pytest.raises(NotSupported, match="holds processes itself"):
                manager.create(Cgroup(PATH, settings=settings_made))
            assert not os.path.exists(manager.paths()[""])
    manager.create(Cgroup(PATH))
    assert inside(manager, lambda: "without limits") == "without limits"
    manager.remove()
    parent.kill()
    reap(*child)
    until(lambda: "populated 0" in Path(tree.mountpoint + PARENT, "cgroup.events").read_text())
    manager.create(Cgroup(PATH, settings=wanted(manager, case[0])))
    assert holds(manager, expected(manager, case))


def test_v2_an_engine_that_sits_in_the_root_of_its_own_tree(manager: cgroups.Manager) -> None:
    """As in a container: the root that it sees is not the root of all, and holds its own process. Without limits all works;
    a limit is refused with the reason; once the process has moved down, limits hold."""
    if cgroups.version() != 2 or not isinstance(manager, v2.Manager):
        return
    limited = wanted(manager, CASES["memory"][0][0])
    manager.create(Cgroup(PATH))

    def child() -> list[object]:
        namespaces.unshare(namespaces.CLONE_NEWNS | namespaces.CLONE_NEWCGROUP)
        mount.mount("none", "/", flags=mount.MS_REC | mount.MS_PRIVATE)
        mount.umount("/sys/fs/cgroup", mount.MNT_DETACH)
        mount.mount("none", "/sys/fs/cgroup", "cgroup2")  # of the new namespace: its root is our cgroup
        answers: list[object] = [len(cgroups.ensure_parent("/inner")) > 0]
        group = cgroups.manager("/inner/x")
        group.create(Cgroup("/inner/x"))
        group.remove()
        try:
            group.create(Cgroup("/inner/x", settings=limited))
        except NotSupported as e:
            answers.append("holds processes itself" in e.explanation)
        cgroups.ensure("/own").join(os.getpid())
        answers.append(cgroups.ensure_parent("/inner"))
        group.create(Cgroup("/inner/x", settings=limited))
        answers.append(group.stats().memory_limit)
        group.remove()
        return answers

    assert inside(manager, child) == [True, True, [], 32 * MIB]


def test_v2_delegation(manager: cgroups.Manager) -> None:
    """Who a cgroup was delegated to may divide it and cannot widen it; who not, neither."""
    if not isinstance(manager, v2.Manager):
        return
    directory = manager.paths()[""]
    case = CASES["memory"][0] if "memory" in manager.paths() else CASES["hugetlb"][0]
    manager.create(Cgroup(PATH, settings=wanted(manager, case[0])))
    limit = next(iter(expected(manager, case)))

    def divide() -> list[str]:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        answers = []
        for act in (
            lambda: os.mkdir(f"{directory}/inner"),
            lambda: Path(directory, "inner", "cgroup.procs").write_text("0"),
            lambda: Path(directory, limit).write_text("max"),
        ):
            try:
                act()
                answers.append("ok")
            except OSError as e:
                answers.append(errno.errorcode[e.errno or 0])
        return answers

    assert inside(manager, divide) == ["EACCES", "ENOENT", "EACCES"]
    manager.delegate(65534, 65534)
    assert inside(manager, divide) == ["ok", "ok", "EACCES"]
    assert holds(manager, expected(manager, case))


def test_v1_without_a_controller(manager: cgroups.Manager) -> None:
    """blkio and pids not mounted, in a mount namespace of our own: their limits are left out, everything else is as ever."""
    if not isinstance(manager, v1.Manager) or unified(hierarchies()):
        return
    mounts = {c: h.mountpoint for h in hierarchies() for c in h.controllers}
    asked = Resources(memory=32 * MIB, pids_limit=10, throttle_read_bps=((*DISK, MIB),))
    assert dropped(asked) == ()

    def child() -> list[object]:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        mount.mount("none", "/", flags=mount.MS_REC | mount.MS_PRIVATE)
        for controller in ("blkio", "pids"):
            mount.umount(mounts[controller])
        group = cgroups.manager(PATH)
        group.create(Cgroup(PATH, settings=settings(asked)))
        group.update(asked)
        seen = group.stats()
        group.remove()
        return [list(dropped(asked)), seen.memory_limit, seen.pids_limit, len(seen.blkio)]

    assert in_child(child) == [["pids_limit", "throttle_read_bps"], 32 * MIB, -1, 0]

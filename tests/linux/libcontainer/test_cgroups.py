"""Both managers in the real kernel: v1 in its hierarchies, v2 in the unified tree, be there controllers in it or not."""

from __future__ import annotations

import errno
import mmap
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from minidock.errors import NotSupported, SystemFault
from minidock.libcontainer import cgroups
from minidock.libcontainer.cgroups import hierarchy, v1, v2
from minidock.libcontainer.cgroups.hierarchy import hierarchies
from minidock.libcontainer.config import Cgroup, DeviceRule
from minidock.libcontainer.devices import ALL, RULES
from tests.conftest import needs
from tests.linux.libcontainer.children import in_child
from tests.linux.libcontainer.groups import PARENT, PATH, born_in, reap, sleeper, until, v2_tree


def directories(manager: cgroups.Manager) -> set[str]:
    return set(manager.paths().values())


def test_create_and_remove(manager: cgroups.Manager) -> None:
    manager.create(Cgroup(PATH, RULES))
    assert all(map(os.path.isdir, directories(manager)))
    assert manager.pids() == []
    manager.remove()
    assert not any(map(os.path.exists, directories(manager)))
    manager.remove()  # repeatable
    assert (manager.pids(), manager.frozen(), manager.oom_kills()) == ([], False, 0)
    manager.kill()


def test_a_process_is_born_inside(manager: cgroups.Manager) -> None:
    manager.create(Cgroup(PATH))
    pid, pidfd = born_in(manager, sleeper)
    assert manager.pids() == [pid]
    here = dict(line.split(":")[1:] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines())
    for controllers in here:
        if set(controllers.split(",")) & (set(manager.paths()) if controllers else {""} & set(manager.paths())):
            assert here[controllers] == PATH
    # the test itself was not moved
    assert PATH not in Path("/proc/self/cgroup").read_text()
    manager.kill()
    assert reap(pid, pidfd) == -signal.SIGKILL


def test_join_from_outside(manager: cgroups.Manager) -> None:
    manager.create(Cgroup(PATH))
    with subprocess.Popen(["sleep", "1000"]) as other:
        manager.join(other.pid)
        assert manager.pids() == [other.pid]
        assert Path(f"/proc/{other.pid}/cgroup").read_text().count(PATH) == len(directories(manager))
        other.kill()


def test_join_names_the_missing(manager: cgroups.Manager) -> None:
    manager.create(Cgroup(PATH))
    with pytest.raises(SystemFault) as caught:
        manager.join(2**22 + 1)  # beyond any pid
    assert (caught.value.errno, caught.value.path.endswith("cgroup.procs")) == (errno.ESRCH, True)


def test_freeze_stops_and_thaw_goes_on(manager: cgroups.Manager) -> None:
    manager.create(Cgroup(PATH))
    r, w = os.pipe()

    def ticker() -> NoReturn:
        while True:
            os.write(w, b".")
            time.sleep(0.001)

    pid, pidfd = born_in(manager, ticker)
    os.set_blocking(r, False)
    until(lambda: select_ready(r))
    manager.freeze()
    assert manager.frozen()
    while select_ready(r):
        os.read(r, 65536)
    time.sleep(0.05)  # in which a running ticker writes dozens
    assert not select_ready(r)
    manager.thaw()
    assert not manager.frozen()
    until(lambda: select_ready(r))
    manager.freeze()
    manager.kill()  # frozen ones die too
    assert reap(pid, pidfd) == -signal.SIGKILL
    os.close(r)
    os.close(w)


def select_ready(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


FORK_AWAY = """
import os, time
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
os.write(1, b"x")
while True:
    if os.fork() == 0:
        time.sleep(1000)
    time.sleep(0.001)
"""


def test_kill_forgets_nobody(manager: cgroups.Manager) -> None:
    """Daemons that forked away twice, in sessions of their own, beside one that forks without end."""
    manager.create(Cgroup(PATH))
    r, w = os.pipe()

    def forker() -> NoReturn:
        os.dup2(w, 1)
        os.execv(sys.executable, [sys.executable, "-c", FORK_AWAY])

    pid, pidfd = born_in(manager, forker)
    assert os.read(r, 1) == b"x"
    until(lambda: len(manager.pids()) > 30)
    manager.kill()
    assert reap(pid, pidfd) == -signal.SIGKILL
    until(lambda: manager.pids() == [])
    manager.remove()
    os.close(r)
    os.close(w)


def test_remove_takes_cgroups_below_along_and_refuses_processes(
    manager: cgroups.Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.create(Cgroup(PATH))
    for directory in directories(manager):
        os.makedirs(f"{directory}/a/b")
    assert manager.pids() == []
    manager.remove()
    assert not any(map(os.path.exists, directories(manager)))

    manager.create(Cgroup(PATH))
    pid, pidfd = born_in(manager, sleeper)
    monkeypatch.setattr(hierarchy, "REMOVE_TIMEOUT", 0.05)
    with pytest.raises(SystemFault) as caught:
        manager.remove()
    assert caught.value.errno == errno.EBUSY
    manager.kill()
    reap(pid, pidfd)


def test_create_replaces_what_a_dead_run_left_but_not_a_living_one(
    manager: cgroups.Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    for directory in directories(manager):
        os.makedirs(f"{directory}/left/over")
    manager.create(Cgroup(PATH))
    assert not any(os.path.exists(f"{d}/left") for d in directories(manager))
    pid, pidfd = born_in(manager, sleeper)
    monkeypatch.setattr(hierarchy, "REMOVE_TIMEOUT", 0.05)
    with pytest.raises(SystemFault):
        manager.create(Cgroup(PATH))
    assert manager.pids() == [pid]
    manager.kill()
    reap(pid, pidfd)


def test_create_undoes_itself(manager: cgroups.Manager) -> None:
    with pytest.raises(SystemFault) as caught:
        manager.create(
            Cgroup(PATH, settings=(("cgroup.procs", "nonsense"),)) if isinstance(manager, v2.Manager) else bad_value()
        )
    assert caught.value.errno == errno.EINVAL
    assert not any(map(os.path.exists, directories(manager)))
    with pytest.raises(NotSupported, match="no_such"):
        manager.create(Cgroup(PATH, settings=(("no_such.thing", "1"),)))
    assert not any(map(os.path.exists, directories(manager)))


def bad_value() -> Cgroup:
    return Cgroup(PATH, settings=(("memory.limit_in_bytes", "nonsense"),))


def opens(path: Path) -> str:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as e:
        return errno.errorcode[e.errno or 0]
    return "ok"


@pytest.mark.parametrize("rules", ["default", "all", "one denied"])
def test_devices(manager: cgroups.Manager, tmp_path: Path, rules: str) -> None:
    """mknod and open of real device nodes, inside: null may be used, kmsg and a block device may only be made."""
    some = {
        "default": RULES,
        "all": ALL,
        "one denied": (*RULES, DeviceRule(False, "c", 1, 3, "rw")),
    }[rules]
    manager.create(Cgroup(PATH, some))
    nodes = {"null": (0o020666, 1, 3), "kmsg": (0o020666, 1, 11), "disk": (0o060666, 240, 0)}

    def child() -> dict[str, str]:
        manager.join(os.getpid())
        answers = {}
        for name, (mode, major, minor) in nodes.items():
            os.mknod(tmp_path / name, mode, os.makedev(major, minor))
            answers[name] = opens(tmp_path / name)
        return answers

    assert in_child(child) == {
        "null": "EPERM" if rules == "one denied" else "ok",
        "kmsg": "ok" if rules == "all" else "EPERM",
        "disk": "ENXIO" if rules == "all" else "EPERM",  # a number for experiments, without a driver: it was let through
    }


def test_devices_cannot_be_made_without_m(manager: cgroups.Manager, tmp_path: Path) -> None:
    manager.create(Cgroup(PATH, (DeviceRule(True, "c", 1, 3, "rw"),)))

    def child() -> None:
        manager.join(os.getpid())
        os.mknod(tmp_path / "null", 0o020666, os.makedev(1, 3))

    assert in_child(child) == {"errno": errno.EPERM}


def test_ensure_is_for_sharing(manager: cgroups.Manager) -> None:
    cgroups.ensure_parent(PARENT)
    shared = cgroups.ensure(PATH)
    pid, pidfd = born_in(shared, sleeper)
    assert cgroups.ensure(PATH).pids() == [pid]
    shared.kill()
    reap(pid, pidfd)
    shared.remove()


def test_ensure_parent_sets_the_ceilings_once(manager: cgroups.Manager) -> None:
    assert cgroups.ensure_parent(PARENT) == []
    paths = cgroups.manager(PARENT).paths()
    file = "memory.max" if cgroups.version() == 2 else "memory.limit_in_bytes"
    limit = int(Path(paths["memory"], file).read_text())
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert total // 2 - 4096 <= limit < total
    pids = int(Path(paths["pids"], "pids.max").read_text())
    assert 0 < pids < int(Path("/proc/sys/kernel/pid_max").read_text())
    Path(paths["pids"], "pids.max").write_text("1234")
    cgroups.ensure_parent(PARENT)
    assert Path(paths["pids"], "pids.max").read_text() == "1234\n"  # an administrator's own ceiling stays


# -- what only v1 has


def test_v1_follows_the_mounts(tmp_path: Path) -> None:
    """A hierarchy mounted elsewhere is found there; one that is not mounted gets nothing."""
    if cgroups.version() == 2:
        needs("cgroup-v1")
    before = {h.mountpoint for h in hierarchies()}
    subprocess.run(["mount", "-t", "cgroup", "-o", "net_cls", "none", tmp_path], check=True)
    with ExitStack() as undo:
        undo.callback(lambda: subprocess.run(["umount", tmp_path], check=True))
        assert {h.mountpoint for h in hierarchies()} - before == {str(tmp_path)}
        manager = cgroups.manager(PATH)
        manager.create(Cgroup(PATH, settings=(("net_cls.classid", "1048577"),)))
        undo.callback(cgroups.manager(PARENT).remove)
        undo.callback(manager.remove)
        assert Path(tmp_path, PATH[1:], "net_cls.classid").read_text() == "1048577\n"
    with pytest.raises(NotSupported, match="net_cls is not mounted"):
        cgroups.manager(PATH).create(Cgroup(PATH, settings=(("net_cls.classid", "1"),)))
    cgroups.manager(PARENT).remove()


def test_v1_cpuset_is_filled(manager: cgroups.Manager) -> None:
    if not isinstance(manager, v1.Manager):
        return
    manager.create(Cgroup(PATH))
    directory = Path(manager.paths()["cpuset"])
    for name in ("cpuset.cpus", "cpuset.mems"):
        assert (directory / name).read_text() == (directory.parents[1] / name).read_text() != "\n"


def test_v1_settings_and_oom(manager: cgroups.Manager) -> None:
    """The count is there after the victim is gone; without a limit nobody dies."""
    if not isinstance(manager, v1.Manager):
        return

    def eater() -> NoReturn:
        block = mmap.mmap(-1, 64 << 20)
        for page in range(0, len(block), 4096):
            block[page] = 1
        os._exit(0)

    for limit, status, count in ((32 << 20, -signal.SIGKILL, 1), (0, 0, 0)):
        manager.create(Cgroup(PATH, settings=cgroups.settings({"Memory": limit, "PidsLimit": 10})))
        assert Path(manager.paths()["pids"], "pids.max").read_text() == "10\n"
        assert reap(*born_in(manager, eater)) == status
        assert manager.oom_kills() == count
        manager.remove()


# -- what only v2 has


def test_v2_hands_controllers_down(manager: cgroups.Manager) -> None:
    tree = v2_tree()
    if not isinstance(manager, v2.Manager) or not tree:
        return
    assert v2.make_ancestors(tree, PARENT) == []
    handed = set(Path(tree.mountpoint + PARENT, "cgroup.subtree_control").read_text().split())
    assert handed == set(tree.controllers) != set()
    manager.create(Cgroup(PATH))
    assert set(Path(tree.mountpoint + PATH, "cgroup.controllers").read_text().split()) == handed
    assert Path(tree.mountpoint + PATH, "cgroup.subtree_control").read_text().strip() == ""

"""Limits, from HostConfig to the kernel: what it holds, what inspect shows, and what a refusal leaves, which is nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock import errors
from minidock.daemon.containers import create, inspect, kill, logs, ps, rm, start, wait
from minidock.daemon.containers import exec as exec_verb
from minidock.daemon.engine import Engine
from minidock.daemon.record import records
from minidock.daemon.record.container import Container
from minidock.daemon.record.names import lookup
from minidock.libcontainer import cgroups
from tests.conftest import needs
from tests.linux.robust import remains
from tests.unit.daemon.test_limits import WRONG

MB = 1 << 20
V1 = cgroups.version() == 1
HOG = "tail /dev/zero"  # it keeps what it reads, looking for the end of a line
ALL: dict[str, Any] = {
    "Memory": 64 * MB, "MemorySwap": 96 * MB, "MemoryReservation": 32 * MB, "PidsLimit": 77, "CpuShares": 512,
    "CpuPeriod": 50_000, "CpuQuota": 25_000, "CpusetCpus": "0", "CpusetMems": "0", "OomScoreAdj": 500,
}  # fmt: skip
HELD = {
    1: {
        "memory.limit_in_bytes": "67108864", "memory.memsw.limit_in_bytes": "100663296",
        "memory.soft_limit_in_bytes": "33554432", "pids.max": "77", "cpu.shares": "512", "cpu.cfs_period_us": "50000",
        "cpu.cfs_quota_us": "25000", "cpuset.cpus": "0", "cpuset.mems": "0",
    },
    2: {
        "memory.max": "67108864", "memory.swap.max": "33554432", "memory.low": "33554432", "pids.max": "77",
        "cpu.weight": cgroups.cpu_weight(512), "cpu.max": "25000 50000", "cpuset.cpus": "0", "cpuset.mems": "0",
    },
}[1 if V1 else 2]  # fmt: skip
MEMORY = "memory.limit_in_bytes" if V1 else "memory.max"
SWAP = "memory.memsw.limit_in_bytes" if V1 else "memory.swap.max"


def held(box: Engine, ref: str, file: str) -> str:
    """What the kernel holds for a container."""
    paths = cgroups.manager(lookup(box, ref).cgroup).paths()
    return Path(paths[file.partition(".")[0]], file).read_text().strip()


def shown(box: Engine, ref: str, *keys: str) -> tuple[Any, ...]:
    host = inspect.inspect(box, ref)["HostConfig"]
    return tuple(host[key] for key in keys)


def test_all_at_once(box: Engine, started: Any) -> None:
    id = started("sleep", "1000", host=ALL)
    assert {file: held(box, id, file) for file in HELD} == HELD
    assert shown(box, id, *ALL) == tuple(ALL.values())
    pid = inspect.inspect(box, id)["State"]["Pid"]
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "500\n"
    assert os.sched_getaffinity(pid) == {0}
    free = started("sleep", "1000")  # control: without limits the kernel holds other values
    assert not {file for file in HELD if held(box, free, file) == HELD[file]} - {"cpuset.mems"}
    assert shown(box, free, "Memory", "MemorySwap", "PidsLimit", "OomScoreAdj") == (0, 0, None, 0)


def test_swap_is_twice_the_memory(box: Engine, started: Any) -> None:
    for host, v1, v2 in (
        ({"Memory": 64 * MB}, 128 * MB, 64 * MB),
        ({"Memory": 64 * MB, "MemorySwap": 64 * MB}, 64 * MB, 0),
        ({"Memory": 64 * MB, "MemorySwap": -1}, None, None),
    ):
        id = started("sleep", "1000", host=host)
        value = held(box, id, SWAP)
        if v1 is None:
            assert value == "max" or int(value) > 1 << 60
        else:
            assert int(value) == (v1 if V1 else v2)
        assert shown(box, id, "MemorySwap") == (host.get("MemorySwap") or 128 * MB,)


def test_cpus_are_a_quota(box: Engine, started: Any) -> None:
    id = started("sleep", "1000", host={"NanoCpus": 500_000_000})
    if V1:
        assert (held(box, id, "cpu.cfs_quota_us"), held(box, id, "cpu.cfs_period_us")) == ("50000", "100000")
    else:
        assert held(box, id, "cpu.max") == "50000 100000"
    assert shown(box, id, "NanoCpus", "CpuQuota", "CpuPeriod") == (500_000_000, 0, 0)


def test_what_only_v1_has(box: Engine, started: Any) -> None:
    needs("cgroup-v1")
    id = started("sleep", "1000", host={"Memory": 64 * MB, "MemorySwappiness": 7, "OomKillDisable": True})
    assert held(box, id, "memory.swappiness") == "7"
    assert "oom_kill_disable 1" in held(box, id, "memory.oom_control")
    assert shown(box, id, "MemorySwappiness", "OomKillDisable") == (7, True)
    free = started("sleep", "1000")
    assert held(box, free, "memory.swappiness") != "7"
    assert "oom_kill_disable 0" in held(box, free, "memory.oom_control")


def root_disk() -> str:
    """A whole disk of this machine."""
    for name in sorted(os.listdir("/sys/block")):
        path = f"/dev/{name}"
        if os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode):
            return path
    raise AssertionError("this machine has no disk")


def test_rates_of_a_disk(box: Engine, started: Any) -> None:
    disk = root_disk()
    number = os.stat(disk).st_rdev
    name = f"{os.major(number)}:{os.minor(number)}"
    host = {"BlkioDeviceReadBps": [{"Path": disk, "Rate": MB}], "BlkioDeviceWriteIOps": [{"Path": disk, "Rate": 100}]}
    id = started("sleep", "1000", host=host)
    if V1:
        assert held(box, id, "blkio.throttle.read_bps_device") == f"{name} {MB}"
        assert held(box, id, "blkio.throttle.write_iops_device") == f"{name} 100"
    else:
        assert held(box, id, "io.max") == f"{name} rbps={MB} wbps=max riops=max wiops=100"
    assert shown(box, id, *host) == tuple(host.values())


def test_rules_for_devices(box: Engine, started: Any) -> None:
    number = os.stat("/dev/loop-control").st_rdev
    script = f"mknod /made c {os.major(number)} {os.minor(number)}; : </made && echo readable; sleep 1000"
    for rules, words in (([f"c {os.major(number)}:{os.minor(number)} r"], b"readable\n"), ([], b"not permitted")):
        id = started("sh", "-c", script, host={"DeviceCgroupRules": rules})
        for _stream, text in logs.logs(box, id, follow=True):
            assert words in text
            break


def oom_records(box: Engine, id: str) -> list[dict[str, Any]]:
    return [record for record in records.records(box) if record["Action"] == "oom" and record["ID"] == id]


TIGHT = {"Memory": 16 * MB, "MemorySwap": 16 * MB}


def test_a_container_that_runs_out_of_memory(box: Engine, started: Any) -> None:
    id = started("sh", "-c", f"{HOG}; exit 3", host=TIGHT, name="hog", Labels={"a": "b"})
    assert wait.wait(box, id, timeout=60)["StatusCode"] == 3
    assert inspect.inspect(box, id)["State"]["OOMKilled"]
    (record,) = oom_records(box, id)[:1]
    assert record["Attributes"] == {"a": "b", "image": "busybox", "name": "hog"}
    roomy = started(
        "sh", "-c", f"head -c {8 * MB} /dev/zero | tail >/dev/null", host={"Memory": 256 * MB}
    )  # control: enough of it
    assert wait.wait(box, roomy, timeout=60)["StatusCode"] == 0
    assert not inspect.inspect(box, roomy)["State"]["OOMKilled"]
    assert oom_records(box, roomy) == []


def test_the_first_process_is_the_victim(box: Engine, started: Any) -> None:
    id = started(*HOG.split(), host=TIGHT)
    assert wait.wait(box, id, timeout=60)["StatusCode"] == 137
    state = inspect.inspect(box, id)["State"]
    assert (state["OOMKilled"], state["ExitCode"], state["Status"]) == (True, 137, "exited")


def test_a_victim_that_is_not_the_first_process(box: Engine, started: Any) -> None:
    """The container goes on, and so do its shim and the engine; the record is there while it runs."""
    id = started("sh", "-c", f"{HOG}; echo $?; exec sleep 1000", host=TIGHT)
    for _stream, _text in logs.logs(box, id, follow=True):
        break
    remains.eventually(lambda: oom_records(box, id), "a record of the oom")
    assert inspect.inspect(box, id)["State"]["Running"]
    made = exec_verb.exec_create(box, id, {"Cmd": ["true"]})["Id"]
    exec_verb.exec_start(box, made, detach=True)
    assert exec_verb.exec_wait(box, made) == 0
    kill.kill(box, id)
    wait.wait(box, id, timeout=60)
    assert inspect.inspect(box, id)["State"]["OOMKilled"]
    assert len(oom_records(box, id)) >= 1


@pytest.fixture
def own_level() -> Iterator[Callable[[str], Path]]:
    """Makes a level by hand, in one hierarchy, as chapter 04's reader does."""
    made: list[Path] = []

    def make(name: str) -> Path:
        tree = next(tree for tree in cgroups.hierarchies() if "memory" in tree.controllers)
        made.append(Path(tree.mountpoint, name))
        made[-1].mkdir()
        return made[-1]

    yield make
    for folder in made:
        folder.rmdir()


def test_another_parent(box: Engine, started: Any) -> None:
    """`--cgroup-parent` names where it says, shared by those who name the same; no way leads out of the instance's by ".."."""
    name = f"{box.paths.instance}-lab"
    ids = [
        started("sleep", "1000", host={"CgroupParent": parent, "Memory": 64 * MB})
        for parent in (f"/{name}/pair", f"/{name}/pair", "group", "../../x")
    ]
    assert [lookup(box, id).cgroup.removesuffix(id) for id in ids] == [
        f"/{name}/pair/", f"/{name}/pair/", f"/{box.paths.instance}/group/", f"/{box.paths.instance}/x/",
    ]  # fmt: skip
    for id in ids:
        assert held(box, id, MEMORY) == str(64 * MB)
        pid = inspect.inspect(box, id)["State"]["Pid"]
        assert lookup(box, id).cgroup in Path(f"/proc/{pid}/cgroup").read_text()
    ceiling = cgroups.manager(f"/{name}").paths()["memory"]
    limit = Path(ceiling, MEMORY).read_text().strip()
    assert limit != "max" and int(limit) < 1 << 60, "a level that was made has a ceiling"
    rm.rm(box, ids[0], force=True)
    assert os.path.isdir(ceiling), "the other one is still there"
    for id in ids[1:]:
        rm.rm(box, id, force=True)
    for level in (f"/{name}", f"/{box.paths.instance}/group", f"/{box.paths.instance}/x"):
        assert not any(map(os.path.exists, cgroups.manager(level).paths().values())), level
    assert (box.paths.run / "cgroups").read_text() == ""


def test_a_parent_that_was_there(box: Engine, started: Any, own_level: Callable[[str], Path]) -> None:
    level = own_level(f"{box.paths.instance}-own")
    limit = level / MEMORY
    limit.write_text(str(32 * MB))
    id = started("sleep", "1000", host={"CgroupParent": f"/{level.name}"})
    assert limit.read_text().strip() == str(32 * MB), "it keeps its limit"
    rm.rm(box, id, force=True)
    assert level.exists()
    paths = cgroups.manager(f"/{level.name}").paths()
    assert {path for path in paths.values() if os.path.exists(path)} == {str(level)}


def test_a_parent_that_cannot_be(box: Engine, made: Any) -> None:
    for parent in ("x" * 256, "shims", "a\nb", f"/{box.paths.instance}/shims/x"):
        with pytest.raises(errors.InvalidParameter, match="invalid cgroup parent"):
            made("true", host={"CgroupParent": parent})
    assert ps.ps(box, all=True) == []


@pytest.mark.parametrize(
    ("host", "file"),
    [({"PidsLimit": 1 << 40}, "pids.max"), ({"CpuQuota": 1 << 60}, "cpu.cfs_quota_us" if V1 else "cpu.max")],
)
def test_a_limit_that_the_kernel_refuses(box: Engine, started: Any, host: dict[str, Any], file: str) -> None:
    rm.rm(box, started("true"), force=True)  # what an instance has once it is in use
    before = remains.look(box)
    with pytest.raises(errors.SystemFault, match=file.replace(".", r"\.")) as caught:
        create.create(box, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none", **host}, "refused")
    assert caught.value.errno
    assert ps.ps(box, all=True) == []
    assert remains.settled(box.paths.root, before, ignore=("fds",)) == []
    id = started("true", name="refused")  # control: the name is free, and without that value all is well
    assert wait.wait(box, id)["StatusCode"] == 0


def test_a_limit_that_is_refused_at_the_start(box: Engine, made: Any, started: Any) -> None:
    """The record was taken when the limit was possible; then the start is taken back, and inspect says why."""
    rm.rm(box, started("true"), force=True)
    id = made("true")
    before = remains.look(box)
    container = Container.load(box, id)
    with container.locked():
        container.record["HostConfig"]["PidsLimit"] = 1 << 40
        container.save()
    with pytest.raises(errors.StartError, match=r"pids\.max"):
        start.start(box, id)
    state = inspect.inspect(box, id)["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 128)
    assert "pids.max" in state["Error"]
    assert remains.settled(box.paths.root, before, ignore=("fds", "files")) == []  # it has hosts and a log now


def test_wrong_values_make_nothing(box: Engine, started: Any) -> None:
    rm.rm(box, started("true"), force=True)
    before = remains.look(box)
    assert len(WRONG) > 40
    for host, words in WRONG:
        if "available: 0-1" in words and os.cpu_count() != 2:
            continue  # this machine has other CPUs
        with pytest.raises(errors.InvalidParameter):
            create.create(box, {"Image": "busybox", "Cmd": ["true"]}, dict(host))
    assert remains.settled(box.paths.root, before, ignore=("fds",)) == []


def test_an_instance_that_was_given_less(box: Engine, started: Any, made: Any) -> None:
    """v1 refuses a share of a CPU, or a CPU, that the instance's own cgroup has not; nothing is made then."""
    needs("cgroup-v1")
    rm.rm(box, started("true"), force=True)
    paths = cgroups.manager(f"/{box.paths.instance}").paths()
    before = remains.look(box)
    half = {"NanoCpus": 500_000_000}
    Path(paths["cpu"], "cpu.cfs_quota_us").write_text("20000")
    with pytest.raises(errors.SystemFault, match=r"cpu\.cfs_quota_us"):
        made("true", host=half)
    Path(paths["cpu"], "cpu.cfs_quota_us").write_text("-1")
    assert remains.settled(box.paths.root, before, ignore=("fds",)) == []
    made("true", host=half)

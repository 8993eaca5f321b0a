"""A plan is data: what is in it, and in what order, needs no root."""

from __future__ import annotations

from minidock.libcontainer import rootfs
from minidock.libcontainer.config import Cgroup, Config, Device, Mount, Namespaces, Process, RootMount
from minidock.libcontainer.nodes import MakeDevices
from minidock.libcontainer.operations import Mask, MountFs, PivotRoot, ReadOnlyRoot, SetPropagation, ShowCgroups

DEV = Mount("/dev", "tmpfs", "tmpfs", ("mode=755",))
ROOT = RootMount("overlay", ("/l",), "/u", "/w")


def _config(**changes: object) -> Config:
    return Config("1" * 64, ROOT, Process(("true",)), **changes)  # type: ignore[arg-type]


def test_first_propagation_last_pivot_and_read_only_just_before() -> None:
    plan = rootfs.plan(_config(readonly_root=True, masked_paths=("/proc/kcore",)))
    assert isinstance(plan[0], SetPropagation)
    assert isinstance(plan[-1], PivotRoot)
    assert isinstance(plan[-2], ReadOnlyRoot)
    assert Mask("/proc/kcore") in plan


def test_dev_is_filled_only_when_it_is_our_own_and_after_all_mounts() -> None:
    extra = Device("/dev/null", "c", 9, 9)
    plan = rootfs.plan(_config(mounts=(DEV, Mount("/v", source="/x")), devices=(extra,)))
    devices = next(o for o in plan if isinstance(o, MakeDevices))
    assert extra in devices.devices
    assert len([d for d in devices.devices if d.path == "/dev/null"]) == 1
    assert plan.index(devices) > max(n for n, o in enumerate(plan) if o.path == "/v")
    assert not any(isinstance(o, MakeDevices) for o in rootfs.plan(_config(mounts=(Mount("/dev", source="/dev"),))))


def test_the_cgroup_mount_of_each_version() -> None:
    config = _config(mounts=(Mount("/sys/fs/cgroup", "cgroup", "cgroup", ("ro",)),), cgroup=Cgroup("/m/1"))
    paths = {"cpu": "/c/cpu,cpuacct/m/1", "cpuacct": "/c/cpu,cpuacct/m/1", "memory": "/c/memory/m/1"}
    one = next(o for o in rootfs.plan(config, paths) if isinstance(o, ShowCgroups))
    assert one.names == ("cpu,cpuacct", "memory")
    assert one.sources() == (("/c/cpu,cpuacct/m/1", False), ("/c/memory/m/1", False))
    two = next(o for o in rootfs.plan(config, None) if isinstance(o, MountFs))
    assert two.type == "cgroup2"


def test_the_hosts_proc_is_shown_only_to_who_shares_its_pids() -> None:
    proc = Mount("/proc", "proc", "proc")
    for pid, shared in (("new", False), ("host", True), ("/proc/7/ns/pid", False)):
        plan = rootfs.plan(_config(mounts=(proc,), namespaces=Namespaces(pid=pid)))
        assert next(o for o in plan if isinstance(o, MountFs)).shared is shared

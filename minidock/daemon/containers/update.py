"""``update``: other limits for a container that is there. One that runs has them at once, wholly or not at all.

::

    check the values            limits.py, as for a new container
    merge into HostConfig       what the request leaves out stays (moby container/container_unix.go, UpdateContainer)
    config.json.new             on a full disk it ends here
    the cgroup's files          if it runs: memory and memory+swap in an order that the kernel takes; on a fault the old values
    rename                      config.json says what holds
    record "update"

All of it under the container's lock: of two updates at once, one comes after the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar, cast

from minidock.daemon.base.verb import verb
from minidock.daemon.exits import due
from minidock.daemon.record import records
from minidock.daemon.record.names import lookup
from minidock.daemon.request import limits, validate
from minidock.errors import Conflict, InvalidParameter

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.record.container import Container
    from minidock.daemon.request.wire import HostConfig, ThrottleDevice, UpdateConfig, UpdateResponse, WeightDevice
    from minidock.execdriver.cgroups import Hierarchy

    Disk = TypeVar("Disk", WeightDevice, ThrottleDevice)
_Cpu = Literal["NanoCpus", "CpuPeriod", "CpuQuota"]


@verb
def update(engine: Engine, ref: str, changes: UpdateConfig) -> UpdateResponse:
    """Change limits and restart policy of the container `ref`; returns ``{"Warnings": […]}``.

    `changes` is the Engine API's body of ``POST /containers/{id}/update``: fields of HostConfig; 0, "" and None leave a value
    as it is, and so does a field that is not there. Raises ContainerNotFound, InvalidParameter, Conflict; SystemFault when
    the kernel refuses (then nothing has changed).
    """
    from minidock.execdriver.cgroups import hierarchies

    trees = hierarchies()
    known = {key: value for key, value in changes.items() if key in _CHANGEABLE and value is not None}
    asked = cast("HostConfig", known)
    validate.restart_policy(asked)
    judged = limits.check(asked, trees, update=True)
    container = lookup(engine, ref)
    with container.locked():
        before, after = container.host_config, merge(container, judged.host_config)
        container.record["HostConfig"] = after
        with container.saving():
            apply(container, before, after, trees)
        mark_restarts(engine, container)
        records.note_of(container, "update")
    return {"Warnings": [*judged.warnings]}


def merge(container: Container, asked: HostConfig) -> HostConfig:
    """The container's HostConfig with what was asked for. Raises Conflict where the old and the new do not go together."""
    old = container.host_config
    policy = asked.get("RestartPolicy") or {}
    if not policy.get("Name"):
        policy = {}
    elif old.get("AutoRemove") and policy["Name"] != "no":
        raise refused(container, "Restart policy cannot be updated because AutoRemove is enabled for the container")
    _cpu_conflicts(container, asked)
    _memory_conflict(container, asked)
    new = cast("HostConfig", {key: value for key, value in asked.items() if _counts(key, value)})
    if "BlkioWeightDevice" in new:
        new["BlkioWeightDevice"] = _disk_by_disk(old.get("BlkioWeightDevice"), new["BlkioWeightDevice"])
    for key in limits.RATES:
        if key in new:
            new[key] = _disk_by_disk(old.get(key), new[key])
    if policy:
        new["RestartPolicy"] = {"Name": policy["Name"], "MaximumRetryCount": policy.get("MaximumRetryCount") or 0}
    return {**old, **new}


def _counts(key: str, value: object) -> bool:
    """Whether a field that was sent says something. None is what the machine cannot do."""
    return key != "RestartPolicy" and (bool(value) or (value is not None and key in _ZERO_COUNTS))


def _disk_by_disk(old: list[Disk] | None, new: list[Disk]) -> list[Disk]:
    return [*{entry["Path"]: entry for entry in (*(old or ()), *new)}.values()]


_CHANGEABLE = limits.FIELDS | {"RestartPolicy"}
_ZERO_COUNTS = ("PidsLimit", "MemorySwappiness")  # pointers in docker's Go: 0 is a value, None is none


def _cpu_conflicts(container: Container, asked: HostConfig) -> None:
    """``--cpus`` is a quota in a period: who has one of them cannot get the other."""
    old = container.host_config
    conflicts: tuple[tuple[_Cpu, _Cpu, str], ...] = (
        ("NanoCpus", "CpuPeriod", "Nano CPUs cannot be updated as CPU Period has already been set"),
        ("NanoCpus", "CpuQuota", "Nano CPUs cannot be updated as CPU Quota has already been set"),
        ("CpuPeriod", "NanoCpus", "CPU Period cannot be updated as NanoCPUs has already been set"),
        ("CpuQuota", "NanoCpus", "CPU Quota cannot be updated as NanoCPUs has already been set"),
    )
    for new, had, words in conflicts:
        if (asked.get(new) or 0) > 0 and (old.get(had) or 0) > 0:
            raise refused(container, f"Conflicting options: {words}")


def _memory_conflict(container: Container, asked: HostConfig) -> None:
    """The limits that will hold together: memory at most memory+swap, the reservation at most memory."""
    old = container.host_config
    memory, swap = asked.get("Memory") or 0, asked.get("MemorySwap") or 0
    had = old.get("MemorySwap") or 0
    if memory and not swap and had != -1 and memory > had:
        words = "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        raise refused(container, words)
    memory, swap = memory or old.get("Memory") or 0, swap or had
    if swap > 0 and not memory:
        raise InvalidParameter("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < swap < memory:
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory and memory < (asked.get("MemoryReservation") or old.get("MemoryReservation") or 0):
        raise InvalidParameter("Minimum memory limit can not be less than memory reservation limit, see usage")


def refused(container: Container, words: str) -> Conflict:
    """docker's errCannotUpdate, with its `words`."""
    return Conflict(f"Cannot update container {container.id}: {words}")


def mark_restarts(engine: Engine, container: Container) -> None:
    """Let the shim of a running container know whether something is due after its exit (`ShimConfig.after_exit_mark`)."""
    if not container.state().running:
        return
    mark = due.mark(engine, container)
    if due.leaves_work(container):
        mark.touch(mode=0o600)
    else:
        mark.unlink(missing_ok=True)


def apply(container: Container, before: HostConfig, after: HostConfig, trees: list[Hierarchy]) -> None:
    """Give a running container's cgroup the new limits, or leave it the old ones and raise SystemFault.

    `before` and `after` are its HostConfig, `trees` the hierarchies. A container between two runs, or one that does not run,
    gets them at its next start.
    """
    from minidock.execdriver.cgroups import from_host_config, manager

    if not container.state().running:
        return
    old, new = (from_host_config(host_config) for host_config in (before, after))
    if old != new:
        manager(container.cgroup, trees).update(new)

"""A cgroup v1 hierarchy that is mounted for nobody but us: no mount table shows it, and it goes when we go.

net_cls, net_prio, perf_event and hugetlb are often built into a kernel and mounted nowhere. Mounting one where everybody sees
it would change the machine under everybody's feet: every engine that starts a container puts it into each hierarchy it finds.
So the mount stays *detached* (fsmount(2)): it hangs on a descriptor of this process, and a shell reaches it by path::

    /proc/<our pid>/fd/<descriptor>/                the root of the hierarchy: all processes of the machine
    /proc/<our pid>/fd/<descriptor>/lab04/          a cgroup of the chapter

A cgroup outlives the mount: `close` removes those that were made here, and `left` finds what a killed process had no time to
remove (the kernel keeps a hierarchy as long as there is a cgroup in it, mounted or not).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from minidock.libcontainer.cgroups import hierarchies
from minidock.libcontainer.cgroups.hierarchy import below, remove_tree
from minidock.linux import mount

# How long a mount is tried, in seconds, while the kernel takes the hierarchy's predecessor apart (some 10 ms).
PATIENCE = 1.0


def known() -> dict[str, int]:
    """The v1 controllers that this kernel has and that are switched on, with the number of the hierarchy each is in.

    From /proc/cgroups (cgroups(7)): 0 is the unified tree, or none.
    """
    rows = [line.split() for line in Path("/proc/cgroups").read_text().splitlines()[1:]]
    return {name: int(hierarchy) for name, hierarchy, _count, enabled in rows if enabled == "1"}


def partners(controller: str) -> list[str]:
    """The controllers that must be mounted together with `controller`: those that share its v1 hierarchy, itself first."""
    numbers = known()
    number = numbers.get(controller, 0)
    return [controller, *(c for c, n in numbers.items() if n == number != 0 and c != controller)]


def _detached(controllers: list[str]) -> int:
    """A detached mount of the v1 hierarchy of these controllers, as a descriptor. Raises OSError.

    EBUSY also while an earlier hierarchy of theirs is still being taken apart: the kernel then wants the call made again
    (cgroup1_get_tree: restart_syscall), and fsconfig(2), made again, finds its context used up.
    """
    filesystem = mount.fsopen("cgroup")
    try:
        for name in controllers:
            mount.fsconfig_set_flag(filesystem, name)
        mount.fsconfig_create(filesystem)
        return mount.fsmount(filesystem)
    finally:
        os.close(filesystem)


class HiddenMount:
    """The hierarchy of `controller` as a detached mount. `path` is its root, for this process and for its children.

    Only cgroups whose name begins with `prefix` are ours, and are removed by `close`. Raises OSError: EINVAL, the kernel has
    no such controller (``ns``); EBUSY, the unified tree of v2 is using it.
    """

    def __init__(self, controller: str, prefix: str) -> None:
        self.controller, self.prefix = controller, prefix
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._fd = _detached(partners(controller))
                break
            except OSError as e:
                if e.errno != errno.EBUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        self.path = Path(f"/proc/{os.getpid()}/fd/{self._fd}")

    def ours(self) -> list[str]:
        """The paths, below the hierarchy's root, of the cgroups that are ours, the deepest first."""
        tops = [p for p in sorted(self.path.glob(f"{self.prefix}*")) if p.is_dir()]
        return [os.path.relpath(p, self.path) for top in tops for p in below(str(top))]

    def close(self) -> None:
        """Remove our cgroups (their processes are dead), let the mount go. Repeatable. Raises SystemFault: one is in use."""
        if self._fd < 0:
            return
        for top in {name.split("/")[0] for name in self.ours()}:
            remove_tree(str(self.path / top))
        self.let_go()

    def let_go(self) -> None:
        """Let the mount go, and leave what is in it. Repeatable."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> HiddenMount:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def left(prefix: str) -> list[str]:
    """``net_cls lab04/a``: cgroups of ours in hierarchies that are mounted nowhere in sight, the deepest first."""
    return [f"{hidden.controller} {name}" for hidden in _out_of_sight(prefix) for name in hidden.ours()]


def remove_left(prefix: str) -> None:
    """Remove what `left` names. Raises SystemFault when a process is still inside."""
    for hidden in _out_of_sight(prefix):
        hidden.close()


def _out_of_sight(prefix: str) -> Iterator[HiddenMount]:
    """Each v1 hierarchy that is alive and not in our mount table, mounted for as long as the caller looks at it."""
    numbers = known()
    seen = {numbers[c] for tree in hierarchies() for c in tree.controllers if tree.version == 1 and c in numbers}
    for controller, number in numbers.items():
        if number not in (0, *seen):
            seen.add(number)
            hidden = HiddenMount(controller, prefix)
            try:
                yield hidden
            finally:
                hidden.let_go()

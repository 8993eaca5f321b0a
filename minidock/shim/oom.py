"""How a shim hears that its container ran out of memory, while it runs on: another process of it may have been the victim.

v1: an eventfd, tied to ``memory.oom_control`` by a line in ``cgroup.event_control`` (cgroup-v1/memory.rst, section 10). The
kernel signals it *before* it chooses a victim, and in all cgroups below the one whose limit was reached; so the container's
own limit is asked whether it was that one. v2: ``memory.events``, whose changes are signalled as POLLPRI (cgroup-v2.rst);
it counts victims in this cgroup and below.
"""

from __future__ import annotations

import os
import select

from minidock.linux.files import read_small

_FAILCNT = ("memory.failcnt", "memory.memsw.failcnt")


class OomEvents:
    """The OOM events of the memory cgroup in `directory`: a descriptor to watch. Raises OSError if it cannot be watched."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._kills = 0
        self._v1 = os.path.exists(f"{directory}/cgroup.event_control")
        if not self._v1:
            self.fd, self.events = os.open(f"{directory}/memory.events", os.O_RDONLY | os.O_CLOEXEC), select.POLLPRI
            return
        self.fd, self.events = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK), select.POLLIN
        try:
            self._register()
        except OSError:
            os.close(self.fd)
            raise

    def _register(self) -> None:
        control = os.open(f"{self._directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with open(f"{self._directory}/cgroup.event_control", "wb", buffering=0) as file:
                file.write(f"{self.fd} {control}".encode())
        finally:
            os.close(control)

    def happened(self) -> bool:
        """When the descriptor was signalled: whether it is this container that has no memory. Raises OSError."""
        if self._v1:
            os.eventfd_read(self.fd)
            return any(self._number(name) for name in _FAILCNT)
        fields = dict(line.split() for line in os.pread(self.fd, 4096, 0).decode().splitlines())
        before, self._kills = self._kills, int(fields.get("oom_kill", 0))
        return self._kills > before

    def _number(self, name: str) -> int:
        try:
            return int(read_small(f"{self._directory}/{name}"))
        except FileNotFoundError:  # no swap accounting
            return 0

"""How a shim hears that its container ran out of memory, while it runs on: another process of it may have been the victim.

v1: an eventfd, tied to ``memory.oom_control`` by a line in ``cgroup.event_control`` (cgroup-v1/memory.rst, section 10). The
kernel signals it in all cgroups below the one whose limit was reached, and *before* it chooses a victim; who it was is seen
a moment later in the count ``oom_kill``. v2: ``memory.events``, whose changes are signalled as POLLPRI (cgroup-v2.rst).
"""

from __future__ import annotations

import contextlib
import os
import select

from minidock.libcontainer.cgroups.hierarchy import write
from minidock.linux.files import read_small

# Seconds after a signal at which to look: the kernel writes its report to the console first, which may be slow.
MOMENTS = (0.0, 0.01, 0.04, 0.15, 0.5)


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
            write(f"{self._directory}/cgroup.event_control", f"{self.fd} {control}")
        finally:
            os.close(control)

    def look(self) -> bool:
        """Whether, since the last look, a process in here was a victim; or all have to wait, for lack of an OOM killer.

        Also takes note of the signal, so that the next one wakes us again. Raises OSError.
        """
        if self._v1:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self.fd)
            text = read_small(f"{self._directory}/memory.oom_control").decode()
        else:
            text = os.pread(self.fd, 4096, 0).decode()
        fields = dict(line.split() for line in text.splitlines())
        before, self._kills = self._kills, int(fields.get("oom_kill", 0))
        stuck = fields.get("oom_kill_disable") == fields.get("under_oom") == "1"
        return self._kills > before or stuck

"""Which process is meant: a pid alone is reused, a pid with its start time and this boot's id is not."""

from __future__ import annotations

import functools
import os
import select
import signal as signals

from minidock.linux.files import read_small


@functools.cache
def boot_id() -> str:
    """This boot's id (/proc/sys/kernel/random/boot_id, random(4))."""
    with open("/proc/sys/kernel/random/boot_id") as f:
        return f.read().strip()


def start_time(pid: int) -> int | None:
    """Start of process `pid` in clock ticks after boot (/proc/PID/stat field 22, proc(5)); None if it is gone or a zombie."""
    try:
        fields = read_small(f"/proc/{pid}/stat").rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def alive(pid: int, start: int) -> bool:
    """Whether the process that was `pid` when it started at `start` still runs."""
    return pid > 0 and start_time(pid) == start


def wait_for_end(pid: int, start: int) -> None:
    """Block until that process has ended (a zombie has; pidfd_open(2))."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if start_time(pid) == start:
            select.select([fd], [], [])
    finally:
        os.close(fd)


def signal(pid: int, start: int, number: int) -> bool:
    """Send a signal to exactly that process (pidfd_send_signal(2)); False if it is gone. Raises PermissionError."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if start_time(pid) != start:
            return False
        signals.pidfd_send_signal(fd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)

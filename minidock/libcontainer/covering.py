"""What a bind mount may cover in a container: not /proc, and no directory by a file.

Over a covered /proc nothing that looks there could be trusted, and a bind inside it could undo a mask or make an AppArmor
label be written to nowhere (runc's checkProcMount; CVE-2019-16884, CVE-2019-19921). The question is asked of the *opened*
target, wherever the image's links led to it.
"""

from __future__ import annotations

import errno
import os
import stat

from minidock.errors import StartError

# The files of /proc that may be covered, as lxcfs does (runc's list).
_COVERABLE = frozenset(
    f"/proc/{name}"
    for name in (
        *("cpuinfo", "diskstats", "loadavg", "meminfo", "net/dev", "slabinfo", "stat", "swaps", "uptime"),
        *("sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"),
    )
)
_INSIDE_PROC = "cannot be mounted because it is inside /proc"
_OTHER_TYPE = "cannot be mounted because it is not of type proc"
_VICE_VERSA = (
    "not a directory: Are you trying to mount a directory onto a file (or vice-versa)? "
    "Check if the specified host path exists and is the expected type"
)


def by_bind(source: str, path: str, where: str, tree: int, target: int) -> None:
    """May the detached mount `tree` (of the host's `source`) be attached on `target`, opened as `path`, which is `where` in the
    container's root? Raises StartError."""
    step, covering = f"mount {source} on", os.fstat(tree)
    host = os.stat("/proc")
    if where != "/proc" or (covering.st_dev, covering.st_ino) != (host.st_dev, host.st_ino):
        by_new(step, path, where)
    if stat.S_ISDIR(covering.st_mode) != stat.S_ISDIR(os.fstat(target).st_mode):
        raise StartError(step, path, errno.ENOTDIR, _VICE_VERSA)


def by_new(step: str, path: str, where: str) -> None:
    """May a new file system other than proc be mounted on `path`, which is `where` in the container's root?"""
    if where == "/proc":
        raise StartError(step, path, errno.EPERM, _OTHER_TYPE)
    if where.startswith("/proc/") and where not in _COVERABLE:
        raise StartError(step, path, errno.EPERM, _INSIDE_PROC)


def missing(source: str, path: str) -> StartError | None:
    """What to say when `path` is not there and cannot be made, if it is because nothing can be made in /proc."""
    if path.startswith("/proc/"):
        return StartError(f"mount {source} on", path, errno.ENOENT, _INSIDE_PROC)
    return None

"""namespaces(7): making one, joining one, and the few system calls that act on the one we are in."""

from __future__ import annotations

import os

from minidock.linux.libc import syscall
from minidock.linux.trace import traced

# include/uapi/linux/sched.h
CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# The name of the file in /proc/PID/ns → the flag of clone3, unshare and setns.
FLAG = {
    "cgroup": CLONE_NEWCGROUP,
    "ipc": CLONE_NEWIPC,
    "mnt": CLONE_NEWNS,
    "net": CLONE_NEWNET,
    "pid": CLONE_NEWPID,
    "time": CLONE_NEWTIME,
    "user": CLONE_NEWUSER,
    "uts": CLONE_NEWUTS,
}


@traced
def unshare(flags: int) -> None:
    """Leave the namespaces of `flags` for new ones (unshare(2)). For pid and time only children will be in the new one.

    EPERM without CAP_SYS_ADMIN (CLONE_NEWUSER needs none); ENOSPC: a limit of /proc/sys/user.
    """
    syscall("unshare", flags)


@traced
def setns(fd: int, flags: int = 0) -> None:
    """Join namespaces (setns(2)): the one that `fd` refers to, or those in `flags` of the process whose pidfd it is.

    With a pidfd all of them are joined or none (Linux 5.8). For pid only children will be in it. EINVAL: not that kind,
    or a pid namespace above our own; EPERM: no CAP_SYS_ADMIN over the namespace; ESRCH: that process is gone.
    """
    syscall("setns", fd, flags)


def identity(kind: str, pid: int | str = "self") -> tuple[int, int]:
    """(device, inode) of a process's namespace: two processes share it exactly when these are equal (namespaces(7))."""
    status = os.stat(f"/proc/{pid}/ns/{kind}")
    return status.st_dev, status.st_ino


@traced
def sethostname(name: str) -> None:
    """Set the host name of our UTS namespace, at most 64 bytes (sethostname(2))."""
    data = os.fsencode(name)
    syscall("sethostname", data, len(data))


@traced
def setdomainname(name: str) -> None:
    """Set the NIS domain name of our UTS namespace, at most 64 bytes (setdomainname(2))."""
    data = os.fsencode(name)
    syscall("setdomainname", data, len(data))


@traced
def write_id_map(pid: int, kind: str, lines: str) -> None:
    """Write /proc/PID/uid_map or gid_map (`kind` is "uid" or "gid"), once and in one write (user_namespaces(7)).

    A line is ``INSIDE OUTSIDE COUNT``. EINVAL: overlapping or too many lines; EPERM: ids that are not ours to give.
    """
    with open(f"/proc/{pid}/{kind}_map", "wb", buffering=0) as file:
        file.write(lines.encode())


@traced
def write_time_offsets(monotonic: int, boottime: int) -> None:
    """Set the clocks of the time namespace that our next child will be born in (time_namespaces(7)); seconds.

    Possible after unshare(CLONE_NEWTIME) and before the first process is in it: EACCES later. ERANGE: a clock below zero.
    """
    with open("/proc/self/timens_offsets", "wb", buffering=0) as file:
        file.write(f"monotonic {monotonic} 0\nboottime {boottime} 0\n".encode())

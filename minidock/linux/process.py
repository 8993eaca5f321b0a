"""Processes: clone3(2), pidfds, waiting, descriptors, and what a process should not pass on.

Why `clone3` is made by hand here: Python's `os.fork` knows no namespaces. The interpreter has state of its own that a
fork must fix up (the import lock, the main thread's id, the random seeds), and says so to whoever forks by other means:
``PyOS_BeforeFork`` before, ``PyOS_AfterFork_Parent`` and ``PyOS_AfterFork_Child`` after. With these around it, a raw clone3
without CLONE_VM is to the interpreter what fork is. The caller must have one thread only.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Callable
from typing import NoReturn

from minidock.linux.files import read_small
from minidock.linux.libc import syscall
from minidock.linux.trace import install, step, traced

# include/uapi/linux/sched.h
CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_INTO_CGROUP = 0x200000000

CLOSE_RANGE_CLOEXEC = 1 << 2  # include/uapi/linux/close_range.h
AT_EMPTY_PATH = 0x1000
PR_SET_NAME = 15
PR_SET_PDEATHSIG = 1
_UINT_MAX = 0xFFFFFFFF
_DEFAULT_ACTION = bytes(32)  # the kernel's struct sigaction: SIG_DFL, no flags, no mask


class _CloneArgs(ctypes.Structure):
    """``struct clone_args`` of clone3(2), up to version 2 (Linux 5.7)."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls"),
            *("set_tid", "set_tid_size", "cgroup"),
        )
    )


def clone3(child: Callable[[], NoReturn], flags: int, cgroup: int | None = None) -> tuple[int, int]:
    """Run `child` in a new process, born in the new namespaces of `flags` (clone3(2)); returns its (pid, pidfd).

    `cgroup` is the descriptor of a cgroup v2 directory in which it is born (CLONE_INTO_CGROUP, Linux 5.7). `child` must not
    return: it ends in an execve or `os._exit` (1 if it raises). On any error no child is left. EPERM: namespaces need
    CAP_SYS_ADMIN; ENOSPC: too many nested; EAGAIN: a pids limit; ENOMEM: also when pid 1 of the pid namespace to be born
    in has ended.
    """
    pidfd = ctypes.c_int(-1)
    arguments = _CloneArgs(flags | CLONE_PIDFD, ctypes.addressof(pidfd), exit_signal=signal.SIGCHLD)
    if flags & CLONE_PARENT:
        arguments.exit_signal = 0  # the parent's own, says clone3(2)
    if cgroup is not None:
        arguments.flags |= CLONE_INTO_CGROUP
        arguments.cgroup = cgroup
    try:
        with step("clone3", hex(flags)):  # not @traced: a fault injected here must find the child that was just made
            pid = _fork(arguments)
            if pid == 0:
                _run(child)
    except OSError:
        if pidfd.value >= 0:
            end(pidfd.value)
            os.close(pidfd.value)
        raise
    return pid, pidfd.value


def _run(child: Callable[[], NoReturn]) -> NoReturn:
    """Be the child: without the parent's tracer, and never going back into the parent's code."""
    try:
        install(None)
        child()
    finally:
        os._exit(1)


def _fork(arguments: _CloneArgs) -> int:
    """clone3 as the interpreter wants a fork done (see above); 0 in the child."""
    ctypes.pythonapi.PyOS_BeforeFork()
    try:
        pid = syscall("clone3", arguments, ctypes.sizeof(arguments))
    except OSError:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        raise
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return pid


@traced
def pidfd_open(pid: int) -> int:
    """A descriptor for process `pid`, close-on-exec (pidfd_open(2)). ESRCH: there is none."""
    return os.pidfd_open(pid)


@traced
def pidfd_send_signal(pidfd: int, number: int) -> None:
    """Send a signal to exactly that process, never to a later one of the same pid (pidfd_send_signal(2)). ESRCH: it ended."""
    signal.pidfd_send_signal(pidfd, number)


@traced
def wait_pidfd(pidfd: int, *, blocking: bool = True) -> int | None:
    """Reap the child of `pidfd` (waitid(2), P_PIDFD). Returns its status as a shell would say it: 0-255, or 128 + signal.

    None when not `blocking` and it still runs. ECHILD: not our child, or reaped already.
    """
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | (0 if blocking else os.WNOHANG))
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status


def end(pidfd: int) -> None:
    """Kill the process of `pidfd` if it runs, and return when it has ended; it is reaped if it is our child to reap."""
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    except ProcessLookupError:
        return
    except ChildProcessError:  # a sibling (CLONE_PARENT): our parent reaps it, and we see its end
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll()


def pid_of(pidfd: int) -> int:
    """The pid behind a pidfd, as our pid namespace numbers it (the Pid field of /proc/self/fdinfo, pidfd_open(2))."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pid:"))


def start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5)).

    Together with the pid it names a process for good, since pids come round again. ESRCH or ENOENT: it is gone.
    """
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        return int(file.read(4096).rpartition(b")")[2].split()[19])


@traced
def close_range(first: int, last: int = _UINT_MAX, flags: int = 0) -> None:
    """Close the descriptors first..last, or with CLOSE_RANGE_CLOEXEC mark them close-on-exec (close_range(2))."""
    syscall("close_range", first, last, flags)


@traced
def execve(path: str, args: tuple[str, ...], env: tuple[str, ...]) -> None:
    """Become another program (execve(2)); `env` is ``NAME=VALUE`` strings. Does not return.

    ENOENT: no such file, or its interpreter is missing; EACCES: not executable, or a directory; ENOEXEC: no known format.
    """
    os.execve(path, args, dict(pair.split("=", 1) for pair in env if "=" in pair))


@traced
def execveat(fd: int, args: tuple[str, ...], env: tuple[str, ...]) -> None:
    """Become the program that descriptor `fd` is open on (execveat(2) with AT_EMPTY_PATH). Does not return."""
    argv = (ctypes.c_char_p * (len(args) + 1))(*(os.fsencode(a) for a in args), None)
    envp = (ctypes.c_char_p * (len(env) + 1))(*(os.fsencode(e) for e in env), None)
    syscall("execveat", fd, b"", ctypes.addressof(argv), ctypes.addressof(envp), AT_EMPTY_PATH)


@traced
def set_name(name: str) -> None:
    """The name that ps and top show, cut to 15 bytes (PR_SET_NAME(2const))."""
    syscall("prctl", PR_SET_NAME, name.encode() + b"\0", 0, 0, 0)


def set_title(title: str) -> None:
    """What /proc/PID/cmdline shows: written over the arguments this process was started with, and cut to their length.

    Their place is in fields 48 and 49 of /proc/self/stat (proc_pid_stat(5)); the kernel reads them from our memory.
    """
    with open("/proc/self/stat", "rb", buffering=0) as file:
        fields = file.read(4096).rpartition(b")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, os.fsencode(title)[: end - begin - 1], min(len(os.fsencode(title)), end - begin - 1))


@traced
def set_parent_death_signal(number: int) -> None:
    """The signal we get when our parent ends; 0 for none (PR_SET_PDEATHSIG(2const))."""
    syscall("prctl", PR_SET_PDEATHSIG, number, 0, 0, 0)


def reset_signals() -> None:
    """Give every signal its default action and unblock all.

    An execve puts handlers back by itself, but keeps what is *ignored* and what is blocked (execve(2)): Python ignores
    SIGPIPE and SIGXFSZ, nohup SIGHUP, and a container's shell pipeline would inherit it. The kernel is asked directly: signals
    32 and 33 glibc keeps for itself and hides from Python, and its posix_spawn(3) starts programs with both ignored.
    """
    status = read_small("/proc/self/status")
    ignored = int(status.partition(b"SigIgn:")[2].split(maxsplit=1)[0], 16)  # bit 0 is signal 1 (proc_pid_status(5))
    for number in range(1, signal.NSIG):
        if ignored >> (number - 1) & 1:
            syscall("rt_sigaction", number, _DEFAULT_ACTION, None, 8)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())

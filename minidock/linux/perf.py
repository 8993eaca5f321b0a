"""perf_event_open(2): count what the kernel counts, for one cgroup, on one CPU.

A counter for a cgroup is bound to a CPU: the kernel switches it on when a process of the cgroup is scheduled there and off
when it leaves. Counting a whole group therefore takes one counter per CPU, and their sum. Only *software* events here: they
need no performance counters in the processor, which virtual machines rarely have.
"""

from __future__ import annotations

import ctypes

from minidock.linux.libc import syscall
from minidock.linux.trace import traced

# include/uapi/linux/perf_event.h: enum perf_sw_ids
CPU_CLOCK, TASK_CLOCK, PAGE_FAULTS, CONTEXT_SWITCHES, CPU_MIGRATIONS = range(5)
_PERF_TYPE_SOFTWARE = 1
_PERF_FLAG_PID_CGROUP = 1 << 2
_PERF_FLAG_FD_CLOEXEC = 1 << 3


class _Attributes(ctypes.Structure):
    """``struct perf_event_attr`` in its first version (PERF_ATTR_SIZE_VER0, 64 bytes): the kernel takes the rest as zero."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("config", ctypes.c_uint64),
        ("sample_period", ctypes.c_uint64),
        ("sample_type", ctypes.c_uint64),
        ("read_format", ctypes.c_uint64),
        ("flags", ctypes.c_uint64),
        ("wakeup_events", ctypes.c_uint32),
        ("bp_type", ctypes.c_uint32),
        ("bp_addr", ctypes.c_uint64),
    )


@traced
def count_cgroup(event: int, cgroup: int, cpu: int) -> int:
    """Begin to count software `event` on `cpu` for the cgroup whose directory is open as `cgroup`; returns a descriptor.

    Reading 8 bytes from it gives the count so far (nanoseconds for the clocks), in the machine's byte order; closing it ends
    the counting. The directory is one of the perf_event hierarchy (v1) or of the unified tree (v2). EACCES without
    CAP_PERFMON where kernel.perf_event_paranoid forbids it; EBADF: not a cgroup of that hierarchy; ENODEV: no such CPU.
    """
    attributes = _Attributes(type=_PERF_TYPE_SOFTWARE, size=ctypes.sizeof(_Attributes), config=event)
    return syscall("perf_event_open", attributes, cgroup, cpu, -1, _PERF_FLAG_PID_CGROUP | _PERF_FLAG_FD_CLOEXEC)

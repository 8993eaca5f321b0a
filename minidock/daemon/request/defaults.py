"""What every container gets unless it says otherwise: docker's defaults, as tables.

Sources: moby ``daemon/pkg/oci/defaults.go`` (mounts, masked and read-only paths). Devices: ``libcontainer/devices.py``.
"""

from __future__ import annotations

from minidock.execdriver.config import Mount

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHM_SIZE = 64 << 20  # bytes
STOP_TIMEOUT = 10  # seconds
STOP_SIGNAL = "SIGTERM"
REMAP_USER = "dockremap"
REMAP_BASE, REMAP_SIZE = 100_000, 65_536  # --userns-remap=default on a machine whose /etc/subuid has no dockremap line

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_NOTHING = ("nosuid", "noexec", "nodev")
PROC = Mount("/proc", "proc", "proc", _NOTHING)
DEV = Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k"))
DEVPTS = Mount("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"))
SYSFS = Mount("/sys", "sysfs", "sysfs", (*_NOTHING, "ro"))
CGROUP = Mount("/sys/fs/cgroup", "cgroup", "cgroup", (*_NOTHING, "ro"))
MQUEUE = Mount("/dev/mqueue", "mqueue", "mqueue", _NOTHING)

# Sysctls that belong to a namespace, and which (runc libcontainer/configs/validate).
IPC_SYSCTLS = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
IPC_PREFIX, NET_PREFIX = "fs.mqueue.", "net."
UTS_SYSCTLS = frozenset(("kernel.domainname", "kernel.hostname"))

_RLIMITS = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
RLIMITS = frozenset(_RLIMITS.split())  # go-units' names for --ulimit

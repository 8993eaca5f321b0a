"""Which parts of root's power a container gets: Docker's default set, ``--cap-add``, ``--cap-drop``, ``--privileged``.

Five sets travel with each process (capabilities(7)); what execve(2) makes of them decides what the command can do::

    bounding      the ceiling: nothing outside it can ever come back              dropped first, for good
    permitted     what may be switched on   ┐ for uid 0 execve fills both from
    effective     what is switched on       ┘ bounding; for other users from ambient
    inheritable   empty: with it, a file's inheritable capabilities would raise an unprivileged user (CVE-2022-24769)
    ambient       kept across execve without uid 0 and without file capabilities; empty unless asked for

`for_container` runs in the engine and settles the names; `apply` runs in init, just before execve, and makes the calls.
"""

from __future__ import annotations

import errno
import functools
import itertools
import os
from collections.abc import Iterable, Sequence

from minidock.errors import InvalidParameter
from minidock.libcontainer.config import Capabilities
from minidock.linux.trace import step

# Position is number: include/uapi/linux/capability.h, up to Linux 5.9 (which added the last one to date).
ALL = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
NUMBER = {name: number for number, name in enumerate(ALL)}

# Docker's fourteen, the same from 1.2 until today (moby oci/caps/defaults.go).
DEFAULT = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip


@functools.cache
def available() -> tuple[str, ...]:
    """What this process can give away: the names both in its bounding and in its permitted set, by number."""
    with step("read", "/proc/thread-self/status"), open("/proc/thread-self/status", encoding="ascii", errors="replace") as file:
        sets = dict(line.split(":\t", 1) for line in file if line.startswith("Cap"))
    return names(int(sets["CapPrm"], 16) & int(sets["CapBnd"], 16))


def _normalise(names: Iterable[str], option: str) -> list[str]:
    """``net_admin``, ``CAP_NET_ADMIN`` → ``NET_ADMIN``; "ALL" stays. Raises InvalidParameter in docker's words."""
    result = []
    for name in names:
        upper = name.strip().upper()
        short = upper.removeprefix("CAP_")
        if upper == "ALL":
            short = "ALL"
        elif short not in NUMBER:
            raise InvalidParameter(f'invalid {option}: unknown capability: "CAP_{short}"')
        if short not in result:
            result.append(short)
    return result


def for_container(
    add: Sequence[str] = (), drop: Sequence[str] = (), privileged: bool = False
) -> tuple[Capabilities, list[str]]:
    """The sets for a container started with these options, and warnings for what this machine cannot give.

    `add` and `drop` are names in any case, with or without CAP_, or "ALL"; dropping wins over ``--cap-add=ALL``, adding
    over ``--cap-drop=ALL`` (moby's TweakCapabilities). Without ALL, adding wins over dropping the same name, as there.
    Only a capability asked for by name is worth a warning when it is missing; "all" means all there are.
    Raises InvalidParameter for an unknown name.
    """
    added, dropped = _normalise(add, "CapAdd"), _normalise(drop, "CapDrop")
    if privileged:
        wanted = list(ALL)
    elif "ALL" in added:
        wanted = [n for n in ALL if n not in dropped]
    elif "ALL" in dropped:
        wanted = added
    else:
        wanted = [n for n in DEFAULT if n not in dropped]
        wanted += [n for n in added if n not in wanted]
    have = available()
    warnings = [
        f"capability CAP_{n} is outside this machine's bounding set: the container starts without it"
        for n in added
        if n != "ALL" and n in wanted and n not in have
    ]
    names = tuple(n for n in wanted if n in have)
    return Capabilities(bounding=names, effective=names, permitted=names), warnings


def mask(names: Iterable[str]) -> int:
    """The bit mask of capget(2) for these names."""
    return functools.reduce(lambda bits, name: bits | 1 << NUMBER[name], names, 0)


def names(bits: int) -> tuple[str, ...]:
    """The names in a mask, by number: what ``/proc/PID/status`` prints in hexadecimal."""
    return tuple(n for n in ALL if bits >> NUMBER[n] & 1)


def drop_bounding(keep: Iterable[str]) -> None:
    """Leave only `keep` in the bounding set. Stops at the first number the running kernel does not know.

    Raises OSError when one cannot be dropped: a container must never start with more than it shall have.
    """
    from minidock.linux import security  # ctypes, which the engine does without; the zygote has loaded it

    kept = mask(keep)
    for number in itertools.count():
        if kept >> number & 1:
            continue
        try:
            security.bounding_drop(number)
        except OSError as e:
            if e.errno == errno.EINVAL:  # past the last one
                return
            raise


def apply(capabilities: Capabilities, uid: int = 0, gid: int = 0, groups: Sequence[int] = ()) -> None:
    """Become `uid`, `gid` and `groups` with exactly these capabilities; the last thing init does but one.

    The order matters: the bounding set falls while we still have CAP_SETPCAP; KEEPCAPS carries the permitted set over
    the change of user; then the sets shrink. For a user other than root only the ambient set becomes permitted and
    effective, which is what execve would make of it (moby's SetCapabilities): an ambient capability asked for stays.

    Without no_new_privs, the seccomp filter must be installed before this call (seccomp(2) then wants CAP_SYS_ADMIN);
    with no_new_privs, after it. Raises OSError.
    """
    from minidock.linux import security  # as above

    drop_bounding(capabilities.bounding)
    security.keep_caps(True)
    with step("setresuid", f"{uid}:{gid}"):
        os.setgroups(list(groups))
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    security.keep_caps(False)
    ambient = set(capabilities.ambient)
    permitted = mask(capabilities.permitted if uid == 0 else ambient)
    effective = mask(capabilities.effective if uid == 0 else ambient)
    security.capset(security.CapabilitySets(effective, permitted, mask(capabilities.inheritable) | mask(ambient)))
    security.ambient_clear()
    for name in ambient:
        security.ambient_raise(NUMBER[name])

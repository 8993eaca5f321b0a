"""Which system calls a container may make: from a profile to a BPF program in front of every call (seccomp(2)).

::

    default table (seccomp_table.py)  ┐                       libseccomp                            init, before execve
    own profile in Docker's JSON      ┴> Profile ──────────> seccomp_compile.py ──> <hash>.bpf ──> seccomp(2)
                                         seccomp_profile.py   20 ms, once             cached         0.6 ms, each time

Compiling happens in the engine (it alone imports libseccomp's binding); the shim reads a file, init makes one system call
(security.seccomp_set_filter). That call wants CAP_SYS_ADMIN or no_new_privs: without ``--security-opt no-new-privileges``
it comes before the capabilities fall, and the profile must allow what comes after; with it, it comes last.
The file's name is a hash of all that decides its contents: the settled profile (it depends on the capabilities), the
machine, libseccomp's version.

Numbers that no rule knows. A filter sees numbers, and a C library tries the newest call first and falls back on ENOSYS alone.
An allow-list that answers EPERM to a call it has never heard of breaks that, so the compiled program answers ENOSYS to
every number above the newest one in the profile, as runc does since 1.0.0-rc93. `clone3` gets ENOSYS by its own rule.
Names that the installed libseccomp does not know (2.5 ends at Linux 5.17) are skipped, as docker does: their numbers are
above the newest known one, so they answer ENOSYS.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import platform
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

from minidock.errors import InvalidParameter
from minidock.libcontainer import seccomp_table as table
from minidock.libcontainer.seccomp_profile import Profile, Rule, machine, parse
from minidock.linux.files import write_atomic

UNCONFINED = "unconfined"
# Raise it when seccomp_compile.py makes another program from the same profile.
_COMPILER = 1


def default_profile(capabilities: Collection[str]) -> Profile:
    """The default profile for a container with these capabilities (names without CAP_)."""
    have = set(capabilities)
    allow = "SCMP_ACT_ALLOW"
    names = [name for _, group in table.ALLOWED for name in group.split()]
    names += [n for arch, group in table.ON_MACHINE if arch == platform.machine() for n in group.split()]
    names += [n for capability, group in table.WITH_CAPABILITY if capability in have for n in group.split()]
    rules = [Rule(tuple(dict.fromkeys(names)), allow)]
    rules += [Rule((name,), allow, conditions=(condition,)) for name, condition in table.ALLOWED_IF]
    if "SYS_ADMIN" not in have:
        name, condition = table.WITHOUT_SYS_ADMIN
        rules.append(Rule((name,), allow, conditions=(condition,)))
        rules.append(Rule((table.NOT_THERE_WITHOUT_SYS_ADMIN,), "SCMP_ACT_ERRNO", errno.ENOSYS))
    _, native, others = machine()
    return Profile("SCMP_ACT_ERRNO", errno.EPERM, (native, *others) if native else (), tuple(rules))


def profile_path(spec: str | None, capabilities: Collection[str], cache_dir: Path) -> str:
    """The host path of the compiled program for ``--security-opt seccomp=SPEC``; "" when there is to be none.

    `spec` is None (the default profile), "unconfined", the JSON text of a profile (what docker's client sends), or the
    path of a file with one. `capabilities` are the names the container has (``Capabilities.bounding``): a profile may
    depend on them. The program is compiled into `cache_dir` unless it is there already.

    Raises InvalidParameter in docker's words for a file that cannot be read or a profile that is none; SystemFault when
    the cache cannot be written; NotSupported when libseccomp is missing.
    """
    if spec == UNCONFINED:
        return ""
    name = _cached_name(_text(spec), tuple(capabilities))
    path = cache_dir / f"{name}.bpf"
    if not path.exists():
        from minidock.libcontainer import seccomp_compile

        write_program(path, seccomp_compile.program(_profile(_text(spec), tuple(capabilities))))
    return str(path)


def write_program(path: Path, program: bytes) -> None:
    """Put a compiled program into the cache, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_atomic(path, program)


def _text(spec: str | None) -> str | None:
    """The JSON text that `spec` stands for; None for the default profile."""
    if spec is None or spec.lstrip().startswith("{"):
        return spec
    try:
        return Path(spec).read_text(encoding="utf-8")
    except (OSError, ValueError) as e:
        reason = f"open {spec}: {os.strerror(e.errno or 0).lower()}" if isinstance(e, OSError) else "not UTF-8 text"
        raise InvalidParameter(f"opening seccomp profile ({spec}) failed: {reason}") from None


@functools.lru_cache(maxsize=32)
def _profile(text: str | None, capabilities: tuple[str, ...]) -> Profile:
    return default_profile(capabilities) if text is None else parse(text, capabilities)


@functools.lru_cache(maxsize=32)
def _cached_name(text: str | None, capabilities: tuple[str, ...]) -> str:
    """The first 32 hex digits of the hash over everything that the program depends on."""
    settled = repr(asdict(_profile(text, capabilities)))
    return hashlib.sha256(f"{_COMPILER} {platform.machine()} {_library()} {settled}".encode()).hexdigest()[:32]


def _library() -> str:
    """The file name of the installed libseccomp, which ends in its version. Found without loading it (30 ms)."""
    for directory in (f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib"):
        library = f"{directory}/libseccomp.so.2"
        if os.path.exists(library):
            return os.path.basename(os.path.realpath(library))
    return ""

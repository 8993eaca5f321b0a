"""Which system calls a container may make: from a profile to a BPF program in front of every call (seccomp(2)).

::

    default table (seccomp_table.py)  ┐                       libseccomp                            init, before execve
    own profile in Docker's JSON      ┴> Profile ──────────> seccomp_compile.py ──> <hash>.bpf ──> seccomp(2)
                                         seccomp_profile.py   20 ms, once             cached         0.6 ms, each time

Compiling happens in the engine (it alone imports libseccomp's binding); the shim reads a file, init makes one system call
(security.seccomp_set_filter). That call wants CAP_SYS_ADMIN or no_new_privs: without ``--security-opt no-new-privileges``
it comes before the capabilities fall, and the profile must allow what comes after; with it, it comes last.
The file's name is a hash of all that decides its contents: the profile's text or our table, the capabilities, the machine,
its kernel, libseccomp's version. So a program that is there is found without reading any profile.

Numbers that no rule knows. A filter sees numbers, and a C library tries the newest call first and falls back on ENOSYS alone.
An allow-list that answers EPERM to a call it has never heard of breaks that, so the compiled program answers ENOSYS to
every number above the newest one in the profile, as runc does since 1.0.0-rc93. `clone3` gets ENOSYS by its own rule.
Names that the installed libseccomp does not know (2.5 ends at Linux 5.17) are skipped, as docker does: their numbers are
above the newest known one, so they answer ENOSYS.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from minidock.errors import InvalidParameter
from minidock.linux.files import write_atomic
from minidock.sha256 import sha256

UNCONFINED = "unconfined"
# What a program is made from besides the profile's text: our own table, and the code that reads and compiles.
_SOURCES = ("seccomp_table.py", "seccomp_profile.py", "seccomp_compile.py")


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
    text = _text(spec)
    path = cache_dir / f"{_cached_name(text, capabilities)}.bpf"
    if not path.exists():  # the rest is loaded when there is something to compile: 5 ms, for each command
        from minidock.libcontainer import seccomp_compile, seccomp_profile, seccomp_table

        profile = seccomp_table.default_profile(capabilities) if text is None else seccomp_profile.parse(text, capabilities)
        write_program(path, seccomp_compile.program(profile))
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


def _cached_name(text: str | None, capabilities: Collection[str]) -> str:
    """The first 32 hex digits of the hash over everything that the program depends on."""
    system = os.uname()  # a profile's rules may ask for a machine and for a kernel's version
    folder = os.path.dirname(__file__)
    sources = [(name, status.st_size, status.st_mtime_ns) for name in _SOURCES if (status := os.stat(f"{folder}/{name}"))]
    settled = repr((sources, system.machine, system.release, _library(system.machine), tuple(capabilities), text))
    return sha256(settled.encode()).hexdigest()[:32]


def _library(machine: str) -> str:
    """The file name of the installed libseccomp, which ends in its version. Found without loading it (30 ms)."""
    for directory in (f"/usr/lib/{machine}-linux-gnu", "/usr/lib64", "/usr/lib"):
        library = f"{directory}/libseccomp.so.2"
        if os.path.exists(library):
            return os.path.basename(os.path.realpath(library))
    return ""

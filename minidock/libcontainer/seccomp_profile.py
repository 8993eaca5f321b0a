"""Seccomp profiles as data: what Docker's JSON format says, settled for one container on one machine.

The format (moby profiles/seccomp, docs "Seccomp security profiles for Docker")::

    {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
     "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],      or "architectures": […]
     "syscalls": [{"names": ["clone"], "action": "SCMP_ACT_ALLOW", "errnoRet": 38,
                   "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
                   "includes": {"caps": […], "arches": ["amd64"], "minKernel": "4.8"}, "excludes": {…}}]}

`parse` checks all of it and leaves out the entries whose includes and excludes do not fit; what remains is a `Profile`.
Keys that are not in the format are ignored, as Go's decoder does.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from minidock.errors import InvalidParameter

ACTIONS = (
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_LOG",
)
OPERATORS = (
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
)
# `uname -m` → (Go's name, libseccomp's name, the architectures whose programs run there too).
MACHINES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64", ("SCMP_ARCH_X86", "SCMP_ARCH_X32")),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64", ("SCMP_ARCH_ARM",)),
}
# libseccomp's names without SCMP_ARCH_ (seccomp_arch_add(3)).
ARCHITECTURES = """X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X
PARISC PARISC64 RISCV64"""


@dataclass(frozen=True)
class Condition:
    """A test of argument number `index` (0-5) against `value`; for SCMP_CMP_MASKED_EQ: ``argument & value == two``."""

    index: int
    value: int
    op: str = "SCMP_CMP_EQ"
    two: int = 0


@dataclass(frozen=True)
class Rule:
    """What happens to these calls when all `conditions` hold. `errno_ret` is what SCMP_ACT_ERRNO answers."""

    names: tuple[str, ...]
    action: str
    errno_ret: int = errno.EPERM
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Profile:
    """A profile for one machine and one set of capabilities. `architectures` are libseccomp's names; () is the native one."""

    default_action: str
    default_errno: int
    architectures: tuple[str, ...]
    rules: tuple[Rule, ...]


def machine() -> tuple[str, str, tuple[str, ...]]:
    """This machine's row of MACHINES; another architecture stands for itself alone."""
    name = os.uname().machine
    return MACHINES.get(name, (name, "", ()))


def parse(text: str, capabilities: Collection[str]) -> Profile:
    """Read a profile for a container with these capabilities (names without CAP_).

    Raises InvalidParameter, in docker's words: ``Decoding seccomp profile failed: …``.
    """
    try:
        document = json.loads(text)
    except ValueError as e:
        raise _bad(str(e)) from None
    if not isinstance(document, dict):
        raise _bad("a profile is a JSON object")
    default_action = _one_of(document, "defaultAction", ACTIONS, "action")
    default_errno = _number(document, "defaultErrnoRet", errno.EPERM)
    rules = tuple(
        _rule(entry)
        for entry in _objects(document, "syscalls")
        if _applies(entry, capabilities, machine()[0], kernel_version())
    )
    return Profile(default_action, default_errno, _architectures(document), rules)


def _bad(reason: str) -> InvalidParameter:
    return InvalidParameter(f"Decoding seccomp profile failed: {reason}")


def _one_of(entry: Mapping[str, Any], key: str, known: Collection[str], kind: str) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str) or value not in known:
        raise _bad(f"string {value} is not a valid {kind} for seccomp")
    return value


def _number(entry: Mapping[str, Any], key: str, default: int = 0, limit: int = 0xFFFF) -> int:
    value = entry.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise _bad(f"{key}: {value!r} is not a number from 0 to {limit}")
    return value


def _strings(entry: Mapping[str, Any], key: str) -> list[str]:
    values = entry.get(key)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        raise _bad(f"{key}: not an array of strings")
    return values


def _objects(entry: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    values = entry.get(key)
    if values is None:
        return []
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise _bad(f"{key}: not an array of objects")
    return values


def _architectures(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The architectures: the profile's own list, or the row of its map that is this machine's."""
    names, rows = _strings(document, "architectures"), _objects(document, "archMap")
    if names and rows:
        raise _bad(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'"
        )
    for row in rows:
        if row.get("architecture") == machine()[1]:
            names = [machine()[1], *_strings(row, "subArchitectures")]
    for name in names:
        if name.removeprefix("SCMP_ARCH_") not in ARCHITECTURES.split():
            raise _bad(f"string {name} is not a valid arch for seccomp")
    return tuple(names)


def _rule(entry: Mapping[str, Any]) -> Rule:
    names, name = _strings(entry, "names"), entry.get("name")
    if names and name:
        raise _bad("both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'")
    if name is not None and not isinstance(name, str):
        raise _bad("name: not a string")
    conditions = tuple(
        Condition(
            _number(a, "index", limit=5),
            _number(a, "value", limit=2**64 - 1),
            _one_of(a, "op", OPERATORS, "operator"),
            _number(a, "valueTwo", limit=2**64 - 1),
        )
        for a in _objects(entry, "args")
    )
    action = _one_of(entry, "action", ACTIONS, "action")
    return Rule(tuple(names or ([name] if name else [])), action, _number(entry, "errnoRet", errno.EPERM), conditions)


def _applies(entry: Mapping[str, Any], capabilities: Collection[str], arch: str, kernel: tuple[int, int]) -> bool:
    """Whether includes and excludes let this entry in: all of the included, none of the excluded."""
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    if not isinstance(includes, dict) or not isinstance(excludes, dict):
        raise _bad("includes and excludes are objects")
    have = {f"CAP_{name}" for name in capabilities}
    if have & set(_strings(excludes, "caps")) or arch in _strings(excludes, "arches"):
        return False
    if _kernel_limit(excludes) and kernel >= _kernel_limit(excludes):
        return False
    arches = _strings(includes, "arches")
    return set(_strings(includes, "caps")) <= have and (not arches or arch in arches) and kernel >= _kernel_limit(includes)


def _kernel_limit(condition: Mapping[str, Any]) -> tuple[int, ...]:
    text = condition.get("minKernel") or ""
    if text == "":
        return ()
    if not isinstance(text, str) or not (match := re.fullmatch(r"(\d+)\.(\d+)", text)):
        raise _bad(f"minKernel: {text!r} is not a kernel version")
    return int(match[1]), int(match[2])


def kernel_version() -> tuple[int, int]:
    """(major, minor) of the running kernel, from uname(2)."""
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(match[1]), int(match[2])) if match else (0, 0)

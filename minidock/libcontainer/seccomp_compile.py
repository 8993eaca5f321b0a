"""From a profile to a classic BPF program, with libseccomp; imported only when a program is not in the cache.

libseccomp makes the filter proper. In front of it goes a stub of a few instructions that answers ENOSYS to numbers above
the newest one that the profile names, per architecture (seccomp.py says why). In bpf(4)'s notation, on x86-64::

        ld  [4]                         the architecture, AUDIT_ARCH_…
        jeq #X86_64, 0, next            (x32 shares it: its numbers have bit 30 set)
        ld  [0]                         the number
        jge #0x40000000, 0, native
        jgt #newest of x32, enosys, filter
    native: jgt #newest of x86-64, enosys, filter
    next:   jeq #I386, 0, filter …
    enosys: ret #SECCOMP_RET_ERRNO|ENOSYS
    filter: …
"""

from __future__ import annotations

import errno
import struct
import tempfile
from typing import Any

from minidock.errors import NotSupported, SystemFault
from minidock.libcontainer.seccomp_profile import Condition, Profile, Rule

try:
    import pyseccomp
except (ImportError, RuntimeError) as e:
    raise NotSupported("seccomp: libseccomp is not installed (Debian: apt install libseccomp2)") from e

# libseccomp answers this number for a name it does not know at all; other negative numbers are names that another
# architecture has (it translates them), seccomp.h: __NR_SCMP_ERROR.
_UNKNOWN = -1
_X32_BIT = 0x40000000
_RET_ERRNO = 0x00050000  # include/uapi/linux/seccomp.h: SECCOMP_RET_ERRNO
# include/uapi/linux/bpf_common.h: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|…|BPF_K, BPF_RET|BPF_K
_LOAD, _JUMP_EQ, _JUMP_GT, _JUMP_GE, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x06
_NUMBER, _ARCH = 0, 4  # offsets in struct seccomp_data
_PERMISSIVE = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")


def program(profile: Profile) -> bytes:
    """Compile: an array of struct sock_filter. Raises SystemFault when libseccomp refuses the profile."""
    try:
        compiled = _filter(profile)
    except OSError as e:
        raise SystemFault("compile seccomp profile", "", e.errno or 0, str(e)) from e
    return _enosys_stub(profile) + compiled


def _action(name: str, errno_ret: int) -> int:
    short = name.removeprefix("SCMP_ACT_")
    value = getattr(pyseccomp, short)
    return int(value(errno_ret)) if short in ("ERRNO", "TRACE") else int(value)


def _arch(name: str) -> int:
    return int(getattr(pyseccomp.Arch, name.removeprefix("SCMP_ARCH_")))


def _architectures(profile: Profile) -> list[int]:
    """libseccomp's numbers of the profile's architectures, the native one always among them."""
    native = int(pyseccomp.system_arch())
    return list(dict.fromkeys([native, *map(_arch, profile.architectures)]))


def _filter(profile: Profile) -> bytes:
    default = _action(profile.default_action, profile.default_errno)
    f = pyseccomp.SyscallFilter(default)
    # A binary tree over the numbers, not a list: installing it is the part that each start pays, and the kernel then runs
    # the program once for each number there is (seccomp_cache_prepare): 0.65 ms against 1.15.
    f.set_attr(pyseccomp.Attr.CTL_OPTIMIZE, 2)
    for arch in _architectures(profile)[1:]:
        f.add_arch(arch)
    for rule in profile.rules:
        action = _action(rule.action, rule.errno_ret)
        if action == default:
            continue  # libseccomp refuses what changes nothing
        for name in rule.names:
            number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
            if number == _UNKNOWN:
                continue
            for conditions in _alternatives(rule):
                f.add_rule(action, number, *map(_argument, conditions))
    with tempfile.TemporaryFile() as out:
        f.export_bpf(out)
        out.seek(0)
        return out.read()


def _alternatives(rule: Rule) -> list[tuple[Condition, ...]]:
    """The conditions of one rule hold together; but two on the same argument are alternatives.

    libseccomp cannot test one argument twice in one rule, and runc made it so; profiles rely on it.
    """
    if len({c.index for c in rule.conditions}) == len(rule.conditions):
        return [rule.conditions]
    return [(c,) for c in rule.conditions]


def _argument(condition: Condition) -> Any:
    op = getattr(pyseccomp, condition.op.removeprefix("SCMP_CMP_"))
    return pyseccomp.Arg(condition.index, op, condition.value, condition.two)


def _newest(profile: Profile, arch: int) -> int:
    """The highest number on `arch` among the profile's names; -1 when it has none."""
    names = {name for rule in profile.rules for name in rule.names}
    return max((int(pyseccomp.resolve_syscall(arch, name)) for name in names), default=-1)


def _enosys_stub(profile: Profile) -> bytes:
    refuses_unknown = profile.default_action not in _PERMISSIVE and profile.default_errno != errno.ENOSYS
    if not refuses_unknown:
        return b""
    x86_64, x32 = int(pyseccomp.Arch.X86_64), int(pyseccomp.Arch.X32)
    newest = {arch: n for arch in _architectures(profile) if (n := _newest(profile, arch)) >= 0}
    blocks = []
    for arch, number in newest.items():
        if arch == x32:
            continue
        # "enosys" and "filter" are filled in below, when it is known how far they are
        block: list[tuple[int, str | int, str | int, int]] = [(_JUMP_EQ, 0, "next", arch), (_LOAD, 0, 0, _NUMBER)]
        if arch == x86_64 and x32 in newest:
            block += [(_JUMP_GE, 0, 1, _X32_BIT), (_JUMP_GT, "enosys", "filter", newest[x32])]
        block.append((_JUMP_GT, "enosys", "filter", number))
        blocks.append(block)
    return _assemble(blocks)


def _assemble(blocks: list[list[tuple[int, str | int, str | int, int]]]) -> bytes:
    code: list[tuple[int, str | int, str | int, int]] = [(_LOAD, 0, 0, _ARCH)]
    targets: dict[int, int] = {}  # position of a block's first instruction → position after the block
    for block in blocks:
        targets[len(code)] = len(code) + len(block)
        code += block
    # Falling out of the last block: an architecture without a limit goes straight to the filter.
    code += [(_JUMP_GE, 1, 1, 0), (_RETURN, 0, 0, _RET_ERRNO | errno.ENOSYS)]
    enosys, beyond = len(code) - 1, len(code)

    def distance(at: int, target: str | int) -> int:
        if isinstance(target, int):
            return target
        return {"enosys": enosys, "filter": beyond, "next": targets.get(at, 0)}[target] - at - 1

    return b"".join(struct.pack("=HBBI", op, distance(i, jt), distance(i, jf), k) for i, (op, jt, jf, k) in enumerate(code))

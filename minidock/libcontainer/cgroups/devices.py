"""Which device nodes a container may make and open: rules such as Docker's (``libcontainer/devices.py``), for cgroup v2.

v1 has the devices controller: lines of text written into ``devices.allow``. v2 has none; the kernel asks a BPF program
attached to the cgroup on every mknod(2) and open(2) of a device. The program sees three numbers
(``struct bpf_cgroup_dev_ctx``): what is wanted, the major and the minor. Ours is the list of rules, the last one first,
one block of compare-and-skip instructions each::

    r2 = type   r3 = access   r4 = major   r5 = minor
    rule n:    if r2 != CHAR goto rule n-1
               if r4 != 1    goto rule n-1
               if r5 != 3    goto rule n-1
               return 1
    …
    default:   return 0
"""

from __future__ import annotations

import os
import struct

from minidock.libcontainer.config import DeviceRule
from minidock.linux import bpf

# include/uapi/linux/bpf.h: enum of BPF_DEVCG_DEV_* and BPF_DEVCG_ACC_*
_TYPE = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL_ACCESS = 7

# Opcodes (Documentation/bpf/standardization/instruction-set.rst)
_LOAD32, _AND32, _SHIFT_RIGHT32, _MOVE32, _MOVE32_IMM = 0x61, 0x54, 0x74, 0xBC, 0xB4
_JUMP_EQ, _JUMP_NE, _EXIT = 0x15, 0x55, 0x95
_R0, _R1, _TYPE_REG, _ACCESS_REG, _MAJOR_REG, _MINOR_REG = range(6)

Instruction = tuple[int, int, int, int, int]  # opcode, destination, source, offset, immediate


def program(rules: tuple[DeviceRule, ...]) -> bytes:
    """The BPF program for these rules: the last rule that matches decides; none matching denies."""
    code: list[Instruction] = [
        (_LOAD32, _TYPE_REG, _R1, 0, 0),  # access_type: access << 16 | type
        (_MOVE32, _ACCESS_REG, _TYPE_REG, 0, 0),
        (_AND32, _TYPE_REG, 0, 0, 0xFFFF),
        (_SHIFT_RIGHT32, _ACCESS_REG, 0, 0, 16),
        (_LOAD32, _MAJOR_REG, _R1, 4, 0),
        (_LOAD32, _MINOR_REG, _R1, 8, 0),
    ]
    for rule in reversed(rules):
        code += _block(rule)
        if rule.kind == "a" and rule.major < 0 and rule.minor < 0 and set(rule.access) == set("rwm"):
            break  # nothing gets past this one, and the verifier refuses code that cannot be reached
    else:
        code += _return(False)
    return b"".join(struct.pack("<BBhi", op, dst | src << 4, off, imm) for op, dst, src, off, imm in code)


def _block(rule: DeviceRule) -> list[Instruction]:
    """One rule: tests that jump to the next rule when they fail, then the verdict."""
    tests: list[list[Instruction]] = []
    if rule.kind != "a":
        tests.append([(_JUMP_NE, _TYPE_REG, 0, 0, _TYPE[rule.kind])])
    access = sum(_ACCESS[a] for a in set(rule.access))
    if access != _ALL_ACCESS:
        # Allowed if nothing beyond `access` is wanted; denied if anything within it is.
        bits, jump = (_ALL_ACCESS & ~access, _JUMP_NE) if rule.allow else (access, _JUMP_EQ)
        tests.append([(_MOVE32, _R1, _ACCESS_REG, 0, 0), (_AND32, _R1, 0, 0, bits), (jump, _R1, 0, 0, 0)])
    if rule.major >= 0:
        tests.append([(_JUMP_NE, _MAJOR_REG, 0, 0, rule.major)])
    if rule.minor >= 0:
        tests.append([(_JUMP_NE, _MINOR_REG, 0, 0, rule.minor)])
    block = [i for test in tests for i in test] + _return(rule.allow)
    jumps = (_JUMP_EQ, _JUMP_NE)
    return [
        (op, dst, src, len(block) - at - 1 if op in jumps else off, imm) for at, (op, dst, src, off, imm) in enumerate(block)
    ]


def _return(allow: bool) -> list[Instruction]:
    return [(_MOVE32_IMM, _R0, 0, 0, int(allow)), (_EXIT, 0, 0, 0, 0)]


def attach(directory: str, rules: tuple[DeviceRule, ...]) -> None:
    """Make these rules hold in the v2 cgroup `directory`, from now until it is removed. Raises OSError."""
    loaded = bpf.prog_load(bpf.BPF_PROG_TYPE_CGROUP_DEVICE, program(rules), "minidock_dev")
    try:
        target = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            bpf.prog_attach(target, loaded, bpf.BPF_CGROUP_DEVICE)
        finally:
            os.close(target)
    finally:
        os.close(loaded)

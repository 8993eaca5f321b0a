"""bpf(2): load a program, attach it to a cgroup. The instructions are made elsewhere (libcontainer/cgroups/devices.py)."""

from __future__ import annotations

import ctypes

from minidock.linux.libc import syscall
from minidock.linux.trace import traced

# include/uapi/linux/bpf.h
_BPF_PROG_LOAD = 5
_BPF_PROG_ATTACH = 8
BPF_PROG_TYPE_CGROUP_DEVICE = 15
BPF_CGROUP_DEVICE = 6
BPF_F_ALLOW_MULTI = 2
_INSTRUCTION = 8  # sizeof(struct bpf_insn)


class _ProgLoad(ctypes.Structure):
    """The part of ``union bpf_attr`` that BPF_PROG_LOAD reads here; the kernel takes the rest as zero."""

    _fields_ = (
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_uint64),
        ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_name", ctypes.c_char * 16),
    )


class _ProgAttach(ctypes.Structure):
    _fields_ = (
        ("target_fd", ctypes.c_uint32),
        ("attach_bpf_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
    )


@traced
def prog_load(kind: int, instructions: bytes, name: str) -> int:
    """Have the kernel verify a program of type `kind`; returns its descriptor (close-on-exec), the caller's to close.

    Errors of bpf(2): EINVAL or EACCES when the verifier refuses it, EPERM without CAP_BPF/CAP_SYS_ADMIN.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    attr = _ProgLoad(kind, len(instructions) // _INSTRUCTION, ctypes.addressof(code), ctypes.addressof(licence))
    attr.prog_name = name.encode()[:15]
    return syscall("bpf", _BPF_PROG_LOAD, attr, ctypes.sizeof(attr))


@traced
def prog_attach(target: int, program: int, kind: int, flags: int = BPF_F_ALLOW_MULTI) -> None:
    """Attach a loaded program to the cgroup directory open as `target` (bpf(2)); the cgroup keeps it until it is removed.

    ALLOW_MULTI: programs above and below hold too, and all of them must allow.
    """
    attr = _ProgAttach(target, program, kind, flags)
    syscall("bpf", _BPF_PROG_ATTACH, attr, ctypes.sizeof(attr))

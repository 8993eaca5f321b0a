"""A classic BPF machine small enough to read, to ask a seccomp program what it would say (bpf(4), seccomp(2))."""

from __future__ import annotations

import struct

# include/uapi/linux/audit.h
X86_64, I386, AARCH64 = 0xC000003E, 0x40000003, 0xC00000B7
X32_BIT = 0x40000000


def run(program: bytes, arch: int, number: int, args: tuple[int, ...] = ()) -> int:
    """The 32-bit verdict of `program` for one system call."""
    arguments = (*args, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("=IIQ6Q", number & 0xFFFFFFFF, arch, 0, *(a & 2**64 - 1 for a in arguments))
    code = list(struct.iter_unpack("=HBBI", program))
    accumulator = position = 0
    while True:
        op, jt, jf, k = code[position]
        position += 1
        if op == 0x20:  # ld [k]
            accumulator = struct.unpack_from("=I", data, k)[0]
        elif op == 0x54:  # and #k
            accumulator &= k
        elif op == 0x05:  # ja
            position += k
        elif op == 0x06:  # ret #k
            return int(k)
        elif op in (0x15, 0x25, 0x35, 0x45):
            test = {0x15: accumulator == k, 0x25: accumulator > k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[op]
            position += jt if test else jf
        else:
            raise AssertionError(f"instruction {op:#x}")

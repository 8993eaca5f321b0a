"""The numbers of system calls, of both architectures, against libseccomp's own tables."""

from __future__ import annotations

import pyseccomp
import pytest

from minidock.linux import libc


@pytest.mark.parametrize("name", libc._TABLE)
def test_numbers_are_the_kernels(name: str) -> None:
    """libseccomp 2.5 does not know the newest calls, and answers -1 for them."""
    known = tuple(pyseccomp.resolve_syscall(arch, name) for arch in (pyseccomp.Arch.X86_64, pyseccomp.Arch.AARCH64))
    if known == (-1, -1):
        assert name in ("statmount", "listmount")
    else:
        assert libc._TABLE[name] == known

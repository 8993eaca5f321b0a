"""A program that can be run and never be written to, not even through /proc/PID/exe by the containers made from it.

CVE-2019-5736: root in a container could open the ``/proc/PID/exe`` of the runtime that was just entering it, and write to
the host's binary. A file's permissions do not help against root, a mount's do: opened through a read-only mount nobody can
write, and nobody can change a mount that is in no mount table.
"""

from __future__ import annotations

import errno
import fcntl
import os

from minidock.linux import mount


def protected(path: str) -> int:
    """A descriptor to execute the program `path` from (``/proc/self/fd/N``), close-on-exec; the caller's to close.

    It is open through a detached read-only bind mount of the one file (Linux 5.12), so all processes share the page cache
    with the file itself. On an older kernel it is a sealed copy in memory, as runc makes one. Raises OSError.
    """
    try:
        tree = mount.open_tree(os.path.realpath(path))
    except OSError as e:
        if e.errno not in (errno.ENOSYS, errno.EINVAL):
            raise
        return _sealed_copy(path)
    try:
        mount.mount_setattr(tree, mount.MOUNT_ATTR_RDONLY | mount.MOUNT_ATTR_NODEV)
    except OSError as e:
        os.close(tree)
        if e.errno not in (errno.ENOSYS, errno.EINVAL):
            raise
        return _sealed_copy(path)
    return tree


def _sealed_copy(path: str) -> int:
    """A memfd with the program's bytes that can no longer be written to (fcntl(2), F_ADD_SEALS)."""
    writable = os.memfd_create(os.path.basename(path), os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(path, "rb") as source:
            while os.sendfile(writable, source.fileno(), None, 1 << 30):
                pass
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(writable, fcntl.F_ADD_SEALS, seals)
        return os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)  # open for writing it would be ETXTBSY
    finally:
        os.close(writable)

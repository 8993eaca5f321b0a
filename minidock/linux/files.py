"""Files that are whole or not there, and locks between processes."""

from __future__ import annotations

import _thread
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from minidock.linux.trace import step

_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS, _FS_TOPDIR_FL = 0x80086601, 0x40086602, 0x00020000  # include/uapi/linux/fs.h


def write_atomic(path: str | os.PathLike[str], data: bytes | str, *, mode: int = 0o600, durable: bool = True) -> None:
    """Replace the file `path` by `data`, wholly or not at all: temporary name, fsync (unless not `durable`), rename.

    `durable=False` is for what is worth nothing after a power cut, such as the run files of a container that is
    removed when it ends. Raises OSError; the temporary file is gone then.
    """
    name = os.fspath(path)
    temporary = f"{name}.{_thread.get_native_id()}.tmp"
    with step("write", name):
        try:
            write(temporary, data, mode=mode, durable=durable)
            os.rename(temporary, name)
        except OSError:
            os.unlink(temporary)
            raise


def write(path: str, data: bytes | str, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write the file `path` and, if `durable`, wait for the disk. Raises OSError; the file may be there then, in part."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        view = memoryview(data.encode() if isinstance(data, str) else data)
        while view:
            view = view[os.write(fd, view) :]
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def read_small(path: str | os.PathLike[str]) -> bytes:
    """The whole of a state file or a kernel file, in four syscalls: ``open`` needs ten, and a start reads thirty files.

    Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = part = os.read(fd, 1 << 16)
        while part:
            part = os.read(fd, 1 << 16)
            data += part
        return data
    finally:
        os.close(fd)


def spread(directory: str | os.PathLike[str]) -> None:
    """Say that what is made in `directory` need not lie close together (ext4's "top of a directory hierarchy", chattr(1) +T).

    Without a journal, ext4 passes over each inode that was freed within the last minutes, one by one, and looks in the parent's
    block group first: where containers come and go, each new file would cost a millisecond. Other file systems refuse the
    flag, each in its own way, and are left alone.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            flags = int.from_bytes(fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(8)), sys.byteorder)
            fcntl.ioctl(fd, _FS_IOC_SETFLAGS, (flags | _FS_TOPDIR_FL).to_bytes(8, sys.byteorder))
    finally:
        os.close(fd)


@contextmanager
def flock(path: str | os.PathLike[str], *, shared: bool = False, blocking: bool = True) -> Iterator[int]:
    """Hold the lock file `path` (made if missing) for the time of a ``with`` (flock(2)); yields its descriptor.

    Raises BlockingIOError when not `blocking` and somebody else holds it. The kernel frees it when the holder dies.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if blocking else fcntl.LOCK_NB))
        yield fd
    finally:
        os.close(fd)

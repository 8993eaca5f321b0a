"""User namespaces: who is root inside is nobody outside (user_namespaces(7)).

An id map says which ids of the host stand behind the container's. Two things follow from it:

* The *process*: the parent writes the maps of the new namespace (the child cannot: it has no rights outside), and the child
  then becomes 0 inside.
* The *files*: on disk an image's files belong to 0, and 0 is not mapped. An **id-mapped mount** (mount_setattr(2),
  Linux 5.12) shows them shifted, without a byte being copied::

      on disk         through the mount (maps 0→100000)      seen in the container
      owner 0     →   owner 100000                       →   owner 0

  The writable layer stays plain: what root inside makes belongs to 100000 on disk, and `docker diff` and commit shift back.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NoReturn

from minidock.libcontainer.config import IdMap
from minidock.linux import namespaces, process
from minidock.linux.sockets import receive_fds


def lines(maps: tuple[IdMap, ...]) -> str:
    """The text of /proc/PID/uid_map for these maps."""
    return "".join(f"{m.container} {m.host} {m.size}\n" for m in maps)


def host_id(maps: tuple[IdMap, ...], inside: int) -> int | None:
    """The host's id behind `inside`, or None if it is not mapped. Without maps the ids are the same."""
    if not maps:
        return inside
    return next((m.host + inside - m.container for m in maps if m.container <= inside < m.container + m.size), None)


def write_maps(pid: int, uid_map: tuple[IdMap, ...], gid_map: tuple[IdMap, ...]) -> None:
    """Give the new user namespace of process `pid` its maps. Raises OSError: EPERM, EINVAL as `namespaces.write_id_map`."""
    namespaces.write_id_map(pid, "uid", lines(uid_map))
    namespaces.write_id_map(pid, "gid", lines(gid_map))


def open_maps(uid_map: tuple[IdMap, ...], gid_map: tuple[IdMap, ...], undo: ExitStack) -> int:
    """A user namespace that is nothing but its maps, as a descriptor for MOUNT_ATTR_IDMAP; closed by `undo`.

    A namespace needs a process to be made. This one does nothing and is gone before we return.
    """
    maker = os.getpid()
    pid, pidfd = process.clone3(lambda: _pause(maker), namespaces.CLONE_NEWUSER)
    try:
        write_maps(pid, uid_map, gid_map)
        fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        undo.callback(os.close, fd)
        return fd
    finally:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)


def _pause(maker: int) -> NoReturn:
    """Wait to be killed; by the kernel, if `maker` is killed first, even if that was before we could ask for it."""
    process.set_parent_death_signal(signal.SIGKILL)
    while os.getppid() == maker:
        signal.pause()
    os._exit(0)


def root_of(pid: int) -> int | None:
    """The host's uid behind 0 in the user namespace of process `pid`, or None."""
    with open(f"/proc/{pid}/uid_map", encoding="ascii") as file:
        maps = tuple(IdMap(*map(int, line.split())) for line in file)
    return host_id(maps, 0)


def born_inside(
    path: str, main: Callable[[], NoReturn], flags: int, cgroup: int | None, prepare: Callable[[], None] | None
) -> tuple[int, int]:
    """A child born in the user namespace at `path`, and its other new namespaces owned by that one; returns (pid, pidfd).

    Nobody comes back out of a user namespace, so a go-between enters it and makes the child in our name (CLONE_PARENT)::

        we ── clone3 ──> go-between: prepare(), setns(user) ── clone3(flags, CLONE_PARENT) ──> main()
         <───────────────── pidfd ──────┘ ends                                                  our child

    Raises the OSError that the go-between met.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, open(path, "rb", buffering=0) as namespace:

        def between() -> NoReturn:
            try:
                if prepare:
                    prepare()
                namespaces.setns(namespace.fileno(), namespaces.CLONE_NEWUSER)
                _pid, pidfd = process.clone3(main, flags | process.CLONE_PARENT)
                socket.send_fds(theirs, [b"0"], [pidfd])
            except OSError as e:
                theirs.send(str(e.errno).encode())
            finally:
                os._exit(0)

        _pid, helper = process.clone3(between, flags & process.CLONE_PARENT, cgroup)
        try:
            theirs.close()
            answer, fds = receive_fds(ours, 16, 1)
        finally:
            process.end(helper)
            os.close(helper)
    if not fds:
        number = int(answer or errno.ESRCH)
        raise OSError(number, os.strerror(number), path)
    return process.pid_of(fds[0]), fds[0]


def shifted_copy(layer: str, uid_map: tuple[IdMap, ...], gid_map: tuple[IdMap, ...]) -> str:
    """A copy of a layer's directory with every owner shifted by the maps; made once, kept beside it, removed with it.

    The name tells the maps: ``<layer>-mapped-100000-100000``. It is made under a temporary name and renamed, so that a copy
    is whole or not there. Whiteouts and extended attributes come along. Raises OSError (ENOSPC …).
    """
    from shutil import rmtree  # here, as below: 4 ms of every zygote's start for a copy that is rare

    copy = f"{layer}-mapped-{host_id(uid_map, 0)}-{host_id(gid_map, 0)}"
    if os.path.isdir(copy):
        return copy
    temporary = f"{copy}.{os.getpid()}.tmp"
    try:
        links: dict[tuple[int, int], str] = {}
        for source, relative in _walk(layer):
            _copy_one(source, os.path.join(temporary, relative) if relative else temporary, links, uid_map, gid_map)
        os.rename(temporary, copy)
    finally:
        rmtree(temporary, ignore_errors=True)
    return copy


def _walk(top: str) -> Iterator[tuple[str, str]]:
    """(path, path below top) of everything, directories before what is in them."""
    yield top, ""
    stack = [""]
    while stack:
        below = stack.pop()
        with os.scandir(os.path.join(top, below)) as entries:
            for entry in entries:
                relative = os.path.join(below, entry.name)
                yield entry.path, relative
                if entry.is_dir(follow_symlinks=False):
                    stack.append(relative)


def _copy_one(
    source: str, target: str, links: dict[tuple[int, int], str], uid_map: tuple[IdMap, ...], gid_map: tuple[IdMap, ...]
) -> None:
    status = os.lstat(source)
    kind = status.st_mode & 0o170000
    if status.st_nlink > 1 and kind != 0o040000:
        first = links.setdefault((status.st_dev, status.st_ino), target)
        if first != target:
            os.link(first, target, follow_symlinks=False)
            return
    if kind == 0o040000:
        os.mkdir(target)
    elif kind == 0o120000:
        os.symlink(os.readlink(source), target)
    elif kind == 0o100000:
        from shutil import copyfile

        copyfile(source, target)
    else:  # a whiteout (character device 0:0), a fifo, a node
        os.mknod(target, status.st_mode, status.st_rdev)
    uid, gid = host_id(uid_map, status.st_uid), host_id(gid_map, status.st_gid)
    os.chown(target, 65534 if uid is None else uid, 65534 if gid is None else gid, follow_symlinks=False)
    if kind != 0o120000:
        os.chmod(target, status.st_mode & 0o7777)  # after chown, which takes set-user-ID bits away
    for name in os.listxattr(source, follow_symlinks=False):
        os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)

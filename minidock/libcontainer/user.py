"""Who the process is: docker's ``USER[:GROUP]``, in the *container's* /etc/passwd and /etc/group (passwd(5), group(5)).

The rules are moby's (``user.GetExecUser``): a name must be in the file; a number need not be. Without a group it is the
user's own, and root's for a number nobody has. The supplementary groups are those whose member lists name the user, unless
the group was given; ``--group-add`` comes on top.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from minidock.errors import StartError

_MAX_FILE = 16 << 20
_MAX_ID = (1 << 31) - 1  # moby's bound


class User(NamedTuple):
    """The numbers that the kernel wants, and the home directory for HOME."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def read_database(path: str) -> str:
    """The text of /etc/passwd or /etc/group; "" if there is none. The image's author is not trusted: only a regular file, only
    its first 16 MiB, and no waiting on a fifo."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return ""
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return file.read(_MAX_FILE).decode("utf-8", "surrogateescape")


def _lines(text: str, fields: int) -> Iterator[list[str]]:
    for line in text.splitlines():
        parts = line.strip().split(":")
        if len(parts) >= fields and not line.startswith("#"):
            yield parts


def _number(text: str) -> int | None:
    """An id written as a number, or None. Nothing but ASCII digits counts as one."""
    if not (text.isascii() and text.isdigit()):
        return None
    value = int(text)
    if value > _MAX_ID:
        raise StartError("uids and gids must be in range 0-2147483647", detail=text)
    return value


def _id(parts: list[str], field: int) -> int:
    return int(parts[field]) if parts[field].isascii() and parts[field].isdigit() else -1


def _group(name: str, database: str) -> int:
    number = _number(name)
    for parts in _lines(database, 3):
        if (parts[0] == name or (number is not None and _id(parts, 2) == number)) and _id(parts, 2) >= 0:
            return _id(parts, 2)
    if number is None:
        raise StartError(f"unable to find group {name}", detail="no matching entries in group file")
    return number


def lookup(spec: str, extra: tuple[str, ...], passwd: str, group: str) -> User:
    """Resolve `spec` (``USER``, ``USER:GROUP``, names or numbers, "" for root) and `extra` groups in the two files' texts.

    Raises StartError in docker's words for a name that is in neither file.
    """
    user, _, group_name = spec.partition(":")
    user = user or "0"
    number = _number(user)
    found = next((p for p in _lines(passwd, 4) if p[0] == user or (number is not None and _id(p, 2) == number)), None)
    if found is None and number is None:
        raise StartError(f"unable to find user {user}", detail="no matching entries in passwd file")
    uid = _id(found, 2) if found else number or 0
    gid = max(_id(found, 3), 0) if found else 0
    home = found[5] if found and len(found) > 5 else ""
    groups: list[int] = []
    if group_name:
        gid = _group(group_name, group)
    elif found:
        groups = [_id(p, 2) for p in _lines(group, 4) if found[0] in p[3].split(",") and _id(p, 2) >= 0]
    groups += [_group(name, group) for name in extra]
    # The group itself is one of the supplementary ones too: else a setgid program drops it, and with it what files deny it
    # (CVE-2022-36109; Docker since 20.10.18).
    return User(max(uid, 0), gid, tuple(dict.fromkeys((gid, *groups))), home or "/")

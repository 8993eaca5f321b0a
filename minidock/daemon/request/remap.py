"""Which host ids a container in a user namespace gets: the ``dockremap`` line of /etc/subuid and /etc/subgid (subuid(5)).

Without such a line, 65536 ids from 100000 on: what Debian's useradd would give the first user.
"""

from __future__ import annotations

import functools
import os

from minidock.daemon.request.defaults import REMAP_BASE, REMAP_SIZE, REMAP_USER
from minidock.errors import InvalidParameter
from minidock.execdriver.config import IdMap


def id_map(path: str, user: str) -> tuple[IdMap, ...]:
    """The map that `path` (/etc/subuid or /etc/subgid) gives to `user`; the default map for docker's own user.

    Raises InvalidParameter if it gives none.
    """
    maps, container = [], 0
    try:
        with open(path) as f:
            lines = f.read().splitlines()
    except FileNotFoundError:
        lines = []
    for line in lines:
        fields = line.split(":")
        if len(fields) == 3 and fields[0] == user and fields[1].isdecimal() and fields[2].isdecimal():
            maps.append(IdMap(container, int(fields[1]), int(fields[2])))
            container += int(fields[2])
    if maps:
        return tuple(maps)
    if user != REMAP_USER:
        raise InvalidParameter(f'Can\'t create ID mappings: no subordinate ids for user "{user}" in {path}')
    return (IdMap(0, REMAP_BASE, REMAP_SIZE),)


@functools.cache
def id_maps(remap: str) -> tuple[tuple[IdMap, ...], tuple[IdMap, ...]]:
    """(uid map, gid map) for ``--userns-remap``: "default", "user" or "user:group"."""
    user, _, group = remap.partition(":")
    user = REMAP_USER if user in ("", "default", "remap") else user
    return id_map("/etc/subuid", user), id_map("/etc/subgid", group or user)


def in_user_namespace(pid: int) -> bool:
    """Whether process `pid` is in another user namespace than we (user_namespaces(7)). FileNotFoundError: it has ended."""
    return os.stat(f"/proc/{pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino

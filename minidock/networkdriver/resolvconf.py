"""The text of a container's /etc/resolv.conf: the host's, made true for another network namespace (resolv.conf(5)).

A resolver on the host's loopback (systemd-resolved's 127.0.0.53) cannot be reached from a container's own network namespace,
so such lines are left out; systemd-resolved's own list of real servers is taken then. When nothing remains Docker falls back to
a public resolver; so do we, in its words, because a container without any resolver waits for minutes.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path

from minidock.errors import InvalidParameter

HOST = Path("/etc/resolv.conf")
SYSTEMD = Path("/run/systemd/resolve/resolv.conf")
FALLBACK = ("8.8.8.8", "8.8.4.4")


def _words(lines: Iterable[str], keyword: str) -> list[list[str]]:
    rows = [line.split("#")[0].split(";")[0].split() for line in lines]
    return [row[1:] for row in rows if len(row) > 1 and row[0] == keyword]


def _loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return True  # not an address: of no use to anyone


def host_lines() -> list[str]:
    """The host's resolv.conf; systemd-resolved's full one when the usual file names only its stub."""
    lines = HOST.read_text().splitlines() if HOST.exists() else []
    servers = [words[0] for words in _words(lines, "nameserver")]
    if servers and all(map(_loopback, servers)) and SYSTEMD.exists():
        return SYSTEMD.read_text().splitlines()
    return lines


def text(
    *,
    dns: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    host: Sequence[str] | None = None,
    own_namespace: bool = True,
) -> str:
    """The file: what was asked for, else what the host has. ``--dns-search .`` means: no search line.

    `host` are the host's lines (read when None); `own_namespace` is False for ``--net=host``, whose loopback is the host's.
    """
    lines = host_lines() if host is None else list(host)
    servers = list(dns) or [w[0] for w in _words(lines, "nameserver") if not own_namespace or not _loopback(w[0])]
    if not servers and own_namespace:
        servers = list(FALLBACK)
    domains = list(search) or [d for words in _words(lines, "search")[-1:] for d in words]
    opts = list(options) or [o for words in _words(lines, "options") for o in words]
    out = [f"nameserver {server}" for server in servers]
    if domains and domains != ["."]:
        out.append("search " + " ".join(domains))
    if opts:
        out.append("options " + " ".join(opts))
    return "".join(line + "\n" for line in out)


def check_server(address: str) -> str:
    """One ``--dns``: an IP address. InvalidParameter in docker's words."""
    try:
        return str(ipaddress.ip_address(address.strip()))
    except ValueError:
        raise InvalidParameter(f"{address} is not an ip address") from None

"""The text of a container's /etc/hosts, as Docker writes it (``pkg/networkfs/etchosts`` in 1.5, later ``libnetwork``)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from minidock.errors import InvalidParameter

DEFAULT = (
    ("127.0.0.1", "localhost"),
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::0", "ip6-localnet"),
    ("ff00::0", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)


def text(*, address: str = "", hostname: str = "", domainname: str = "", extra: Iterable[tuple[str, str]] = ()) -> str:
    """The file: localhost's names, `extra` (address, name) pairs, and the container itself when it has an address."""
    lines = [*DEFAULT, *extra]
    if address and hostname:
        own = f"{hostname}.{domainname} {hostname}" if domainname else hostname
        lines.append((address, own))
    return "".join(f"{ip}\t{names}\n" for ip, names in lines)


def parse_extra(entry: str) -> tuple[str, str]:
    """docker's ``--add-host NAME:ADDRESS`` as (address, name). InvalidParameter in docker's words."""
    name, colon, address = entry.partition(":")
    if not colon or not name:
        raise InvalidParameter(f'bad format for add-host: "{entry}"')
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from None
    return address, name

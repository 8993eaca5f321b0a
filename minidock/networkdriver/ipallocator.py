"""Addresses of one network, one at a time: Docker 1.x's ``ipallocator``, kept in SQLite so that processes can share it.

Addresses are given in order, each after the last one given, and a freed one is not given again before the search has wrapped
around: a container that went leaves its address cold for a while, so that a neighbour's ARP entry or a client's cached name
does not reach a stranger. The primary key (network, address) is the lock.
"""

from __future__ import annotations

import ipaddress
import sqlite3

from minidock.errors import Forbidden, InvalidParameter, Unavailable
from minidock.linkgraph import LinkGraph
from minidock.linux import trace


class IPAllocator:
    """Addresses of `subnet` under the name `network`; the network, gateway and broadcast addresses are never given."""

    def __init__(self, links: LinkGraph, network: str, subnet: ipaddress.IPv4Network, gateway: ipaddress.IPv4Address) -> None:
        self.links, self.network, self.subnet, self.gateway = links, network, subnet, gateway

    def request(self, container: str, address: str = "") -> str:
        """Take `address`, or the next free one, for `container`; the same container may take several.

        Raises InvalidParameter (not an address of this network), Forbidden (taken) and Unavailable (none is left).
        """
        with trace.step("allocate address", f"{self.network} {address}"), self.links.transaction() as db:
            chosen = self._check(address) if address else self._next(db)
            try:
                db.execute("INSERT INTO addresses VALUES (?, ?, ?)", (self.network, chosen, container))
            except sqlite3.IntegrityError:
                raise Forbidden("Address already in use") from None
            if not address:
                db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (self.network, chosen))
        return chosen

    def release(self, container: str) -> None:
        """Give back all addresses that `container` holds here. Safe to repeat."""
        self.links.execute("DELETE FROM addresses WHERE network = ? AND container = ?", self.network, container)

    def _check(self, address: str) -> str:
        try:
            parsed = ipaddress.IPv4Address(address)
        except ValueError:
            raise InvalidParameter(f"invalid IPv4 address: {address}") from None
        if parsed not in self.subnet:
            raise InvalidParameter(f"Invalid address {address}: It does not belong to any of this network's subnets")
        if parsed in (self.subnet.network_address, self.subnet.broadcast_address, self.gateway):
            raise Forbidden("Address already in use")
        return str(parsed)

    def _next(self, db: sqlite3.Connection) -> str:
        """The first free address after the last one given, wrapping around once."""
        first, last = int(self.subnet.network_address) + 1, int(self.subnet.broadcast_address) - 1
        size = last - first + 1
        row = db.execute("SELECT last FROM cursors WHERE network = ?", (self.network,)).fetchone()
        start = (int(ipaddress.IPv4Address(row[0])) + 1 - first) % size if row else 0
        taken = {a for (a,) in db.execute("SELECT address FROM addresses WHERE network = ?", (self.network,))}
        taken.add(str(self.gateway))
        for i in range(size):
            candidate = str(ipaddress.IPv4Address(first + (start + i) % size))
            if candidate not in taken:
                return candidate
        raise Unavailable("no available IPv4 addresses on this network's address pools: " + self.network)

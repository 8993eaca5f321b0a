"""What must be unique in one instance, in one SQLite file: ``linkgraph.db``, the name Docker 1.x gave it.

Several processes use one state root at once, so a container's name, an image reference, an address or a port is taken by
inserting a row, and freed by deleting it; the primary keys are the whole of the locking. Everything else is a JSON file of
its own.

Lock order, everywhere: the container's ``lock``, then this file, then the network. A transaction is short and holds no other
lock. No connection crosses a fork: `LinkGraph` opens one per process and thread, and a forked child opens its own.

::

    names(name, kind, id)          kind: container | network | volume; id: full id
    refs(ref, image)               "repo:tag" or "repo@digest" → image id "sha256:…"
    addresses(network, address, container)
    cursors(network, last)         the address given last: the next one follows it, as docker's do
    ports(proto, host_ip, port, container)
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minidock.linux import trace

SCHEMA = """
CREATE TABLE IF NOT EXISTS names (name TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, name));
CREATE INDEX IF NOT EXISTS names_id ON names (id);
CREATE TABLE IF NOT EXISTS refs (ref TEXT PRIMARY KEY, image TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS refs_image ON refs (image);
CREATE TABLE IF NOT EXISTS addresses (network TEXT NOT NULL, address TEXT NOT NULL, container TEXT NOT NULL,
    PRIMARY KEY (network, address));
CREATE INDEX IF NOT EXISTS addresses_container ON addresses (container);
CREATE TABLE IF NOT EXISTS cursors (network TEXT PRIMARY KEY, last TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ports (proto TEXT NOT NULL, host_ip TEXT NOT NULL, port INTEGER NOT NULL, container TEXT NOT NULL,
    PRIMARY KEY (proto, host_ip, port));
"""


class LinkGraph:
    """The instance's SQLite file. `execute` for one statement, `transaction` for several that belong together.

    sqlite3.IntegrityError from an INSERT means "taken": the caller says it in docker's words.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self.connection().executescript(SCHEMA)

    def connection(self) -> sqlite3.Connection:
        """This process's and thread's connection, opened on first use (WAL, 10 s busy timeout, autocommit)."""
        if getattr(self._local, "pid", None) != os.getpid():
            connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            self._local.connection, self._local.pid = connection, os.getpid()
        return self._local.connection  # type: ignore[no-any-return]

    def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
        """One statement, in a transaction of its own; a traced step when it changes something."""
        if sql.startswith("SELECT"):
            return self.connection().execute(sql, args)
        with trace.step("sqlite", f"{sql.split(maxsplit=3)[:3]} {args}"):
            return self.connection().execute(sql, args)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Several statements, wholly or not at all (BEGIN IMMEDIATE: the write lock is taken first)."""
        connection = self.connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def close(self) -> None:
        """Close this thread's connection, if it has one."""
        if getattr(self._local, "pid", None) == os.getpid():
            self._local.connection.close()
            self._local.pid = None

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

Beside it lies ``reserve``, a file that holds nothing but room. Who wants to remove containers because the disk is full needs
this file, and SQLite needs room even to look: then the reserve is given up.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from minidock.errors import SystemFault
from minidock.linux import files, trace

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
T = TypeVar("T")
_NEEDED = 64 << 10  # bytes: SQLite maps 32 KiB beside its file
_RESERVED = 256 << 10


class LinkGraph:
    """The instance's SQLite file. `execute` for one statement, `transaction` for several that belong together.

    sqlite3.IntegrityError from an INSERT means "taken": the caller says it in docker's words.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reserve = path.with_name("reserve")
        self._local = threading.local()
        self._do(lambda: self.connection().executescript(SCHEMA))
        self._keep_reserve()

    def connection(self) -> sqlite3.Connection:
        """This process's and thread's connection, opened on first use (WAL, 10 s busy timeout, autocommit)."""
        if getattr(self._local, "pid", None) != os.getpid():
            if not os.access(self.path.parent, os.W_OK):  # SQLite would say "unable to open database file"
                raise SystemFault("open", str(self.path), errno.EROFS)
            self._local.connection, self._local.pid = self._do(self._open), os.getpid()
        return self._local.connection  # type: ignore[no-any-return]

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        # Two that make it at once: the change of a new file's journal mode does not wait for a lock (sqlite3_busy_handler)
        with files.flock(f"{self.path}-lock"):
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
        """One statement, in a transaction of its own; a traced step when it changes something."""
        if sql.startswith("SELECT"):
            return self._do(lambda: self.connection().execute(sql, args))
        with trace.step("sqlite", f"{sql.split(maxsplit=3)[:3]} {args}"):
            return self._do(lambda: self.connection().execute(sql, args))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Several statements, wholly or not at all (BEGIN IMMEDIATE: the write lock is taken first)."""
        connection = self.connection()
        with self._faults():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise

    def _do(self, action: Callable[[], T]) -> T:
        """`action()`; on a full disk once more without the reserve."""
        with self._faults():
            try:
                return action()
            except sqlite3.OperationalError:
                if not self._is_full() or not self._reserve.exists():
                    raise
                self._reserve.unlink(missing_ok=True)
                return action()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """SQLite's operational errors (no room, a lock held for too long) as SystemFault."""
        try:
            yield
        except sqlite3.OperationalError as error:
            full = self._is_full()
            raise SystemFault("use", str(self.path), errno.ENOSPC if full else 0, "" if full else str(error)) from error

    def _room(self) -> int:
        free = os.statvfs(self.path.parent)
        return free.f_bavail * free.f_frsize

    def _is_full(self) -> bool:
        """Whether SQLite had no room; it says "disk I/O error" then, or nothing that helps."""
        return self._room() < _NEEDED

    def _keep_reserve(self) -> None:
        """Put some room by, where there is plenty."""
        if not self._reserve.exists() and self._room() > 64 * _RESERVED:
            with open(self._reserve, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVED)

    def close(self) -> None:
        """Close this thread's connection, if it has one."""
        if getattr(self._local, "pid", None) == os.getpid():
            self._local.connection.close()
            self._local.pid = None

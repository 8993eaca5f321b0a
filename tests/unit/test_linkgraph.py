"""linkgraph.db: what is unique, wholly or not at all, and one connection for each process."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from minidock.linkgraph import LinkGraph

TAKE = "INSERT INTO names (name, kind, id) VALUES (?, ?, ?)"


@pytest.fixture
def links(tmp_path: Path) -> LinkGraph:
    return LinkGraph(tmp_path / "linkgraph.db")


def names(links: LinkGraph) -> list[str]:
    return [row[0] for row in links.execute("SELECT name FROM names ORDER BY name")]


def test_a_name_is_taken_once_in_its_kind(links: LinkGraph) -> None:
    links.execute(TAKE, "web", "container", "1")
    with pytest.raises(sqlite3.IntegrityError):
        links.execute(TAKE, "web", "container", "2")
    links.execute(TAKE, "web", "volume", "2")


def test_what_fails_half_way_leaves_nothing(links: LinkGraph) -> None:
    with pytest.raises(KeyError), links.transaction() as db:
        db.execute(TAKE, ("a", "container", "1"))
        raise KeyError
    assert names(links) == []
    with links.transaction() as db:
        db.execute(TAKE, ("b", "container", "1"))
    assert names(links) == ["b"]


def test_who_looks_and_then_writes_is_alone_between(links: LinkGraph) -> None:
    """Two who both see that a name is free, and then take it: the second would be told that the database is locked."""
    other = sqlite3.connect(links.path, timeout=0, isolation_level=None)
    with links.transaction() as db:
        assert db.execute("SELECT count(*) FROM names").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()


def test_a_forked_process_opens_its_own(links: LinkGraph) -> None:
    ours = links.connection()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, b"another" if links.connection() is not ours else b"the same")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"another"
    os.waitpid(pid, 0)
    assert links.connection() is ours

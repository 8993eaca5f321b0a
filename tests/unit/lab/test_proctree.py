"""Trees from a process table, and the real table of this machine."""

from __future__ import annotations

import os

from minidock.lab import proctree
from minidock.lab.proctree import Process

TABLE = {
    p.pid: p
    for p in (
        Process(1, 0, "init", (), "host"),
        Process(10, 1, "zygote", (), "host"),
        Process(20, 10, "shim", (), "host"),
        Process(21, 20, "sh", (1,), "a"),
        Process(22, 21, "sleep", (2,), "a"),
        Process(30, 10, "shim", (), "host"),
        Process(31, 30, "redis", (1,), "b"),
        Process(99, 1, "cron", (), "host"),
    )
}


def test_descendants_and_depth() -> None:
    assert [p.pid for p in proctree.descendants(10, TABLE)] == [10, 20, 21, 22, 30, 31]
    assert proctree.depth(TABLE[22], TABLE, 10) == 3
    assert proctree.descendants(7, TABLE) == []
    assert [p.pid for p in proctree.ancestors(22, TABLE)] == [22, 21, 20, 10, 1]


def test_both_sides(monkeypatch: object) -> None:
    """The same processes as the host sees them and as the container does."""
    import pytest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proctree, "processes", lambda: TABLE)
        host, inside = proctree.both_sides([21, 31])
    assert [line.label for line in host] == ["zygote  10", "shim  20", "sh  21", "sleep  22", "shim  30", "redis  31"]
    assert [(line.label, line.depth) for line in inside] == [("sh  1", 0), ("sleep  2", 1), ("redis  1", 0)]
    assert proctree.text(inside) == "sh  1\n  sleep  2\nredis  1"


def test_real_table() -> None:
    """The table is the kernel's: this process, its parent, its namespace."""
    table = proctree.processes()
    me = table[os.getpid()]
    assert me.ppid == os.getppid()
    assert me.inside is None
    assert me.namespace == os.readlink("/proc/self/ns/pid")

"""Many containers, one after the other and at once: every exit code and log right, and nothing left of any of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from minidock.daemon import open_engine
from minidock.daemon.containers import create, logs, rm, run, start, wait
from minidock.daemon.engine import Engine
from tests.linux.robust import remains


def one(engine: Engine, number: int, mode: str = "none") -> None:
    """Run a container with its own output and exit code, and check both."""
    code = number % 126
    config = {"Image": "busybox", "Cmd": ["sh", "-c", f"echo out {number}; echo err {number} >&2; exit {code}"]}
    result = run.run(engine, config, {"NetworkMode": mode, "AutoRemove": True})
    assert (result.exit_code, result.output, result.stderr) == (code, b"out %d\n" % number, b"err %d\n" % number)


def kept(engine: Engine, number: int, mode: str = "none") -> None:
    """The same with a container that stays: what counts is what is on disk."""
    code = number % 126
    config = {"Image": "busybox", "Cmd": ["sh", "-c", f"echo out {number}; echo err {number} >&2; exit {code}"]}
    id = create.create(engine, config, {"NetworkMode": mode})["Id"]
    start.start(engine, id)
    assert wait.wait(engine, id, timeout=60)["StatusCode"] == code
    found = sorted(logs.logs(engine, id))
    assert found == [(1, b"out %d\n" % number), (2, b"err %d\n" % number)]
    rm.rm(engine, id)


def in_a_row(root: Path, count: int) -> None:
    with open_engine(root) as engine:
        kept(engine, 0, "bridge")
        before = remains.look(engine)
        for number in range(count):
            (kept if number % 4 == 0 else one)(engine, number, "bridge" if number % 2 else "none")
        after = remains.look(engine)
    assert before.fds == after.fds
    assert remains.settled(root, before, ignore=("fds",)) == []


def at_once(root: Path, count: int) -> None:
    with open_engine(root) as engine:
        kept(engine, 0, "bridge")
        before = remains.look(engine)
        failures: list[str] = []

        def try_one(number: int, job: Callable[[Engine, int, str], None]) -> None:
            try:
                job(engine, number, "bridge" if number % 2 else "none")
            except BaseException as error:  # noqa: BLE001  shown below, in the test's own thread
                failures.append(f"{number}: {error!r}")
            finally:
                engine.links.close()

        threads = [threading.Thread(target=try_one, args=(n, kept if n % 4 == 0 else one)) for n in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        after = remains.look(engine)
    assert before.fds == after.fds
    assert remains.settled(root, before, patience=20, ignore=("fds",)) == []
    assert not [p for p in os.listdir("/proc") if p.isdigit() and is_our_zombie(p)]


def is_our_zombie(pid: str) -> bool:
    fields = remains.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[:2] == ["Z", str(os.getpid())]


def test_200_in_a_row(root: Path) -> None:
    in_a_row(root, 200)


def test_50_at_once(root: Path) -> None:
    at_once(root, 50)


@pytest.mark.all
@pytest.mark.timeout(600)
def test_500(root: Path) -> None:
    """A semester's work in one go: 500 containers in a row and 500 at once, and nothing is left."""
    in_a_row(root, 500)
    at_once(root, 500)

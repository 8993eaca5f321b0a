"""No line of a fast writer is lost, and a slow reader holds up its own container alone."""

from __future__ import annotations

import hashlib
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock.daemon.containers import attach, create, logs, rm, run, start, wait
from minidock.daemon.engine import Engine
from minidock.daemon.record.container import Container
from minidock.errors import NotFound
from tests.linux.robust import remains

LINES = 300_000
EXPECTED = hashlib.sha256("".join(f"{n}\n" for n in range(1, LINES + 1)).encode()).hexdigest()


def made(engine: Engine, *command: str, tty: bool = False, **host: Any) -> str:
    config = {"Image": "busybox", "Cmd": list(command), "Tty": tty}
    return str(create.create(engine, config, {"NetworkMode": "none", **host})["Id"])


def logged(files: list[Path]) -> Iterator[bytes]:
    """The text of log files, the oldest first."""
    for file in files:
        for line in file.read_bytes().splitlines():
            yield json.loads(line)["log"].encode()


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
@pytest.mark.parametrize("rotated", [False, True], ids=["one file", "rotated"])
def test_a_fast_writer_loses_no_line(engine: Engine, tty: bool, rotated: bool) -> None:
    options = {"max-size": "1m", "max-file": "100"} if rotated else {}
    id = made(engine, "seq", str(LINES), tty=tty, LogConfig={"Type": "json-file", "Config": options})
    start.start(engine, id)
    assert wait.wait(engine, id, timeout=60)["StatusCode"] == 0
    path = Container.load(engine, id).log_path
    older = sorted(Path(path).parent.glob("*-json.log.*"), key=lambda p: -int(p.suffix[1:]))
    assert bool(older) == rotated
    seen, count = hashlib.sha256(), 0
    for text in logged([*older, Path(path)]):
        seen.update(text.replace(b"\r\n", b"\n"))
        count += text.count(b"\n")
    assert (count, seen.hexdigest()) == (LINES, EXPECTED)
    told = hashlib.sha256()
    for _stream, data in logs.logs(engine, id):
        told.update(data.replace(b"\r\n", b"\n"))
    assert told.hexdigest() == EXPECTED
    rm.rm(engine, id)


def test_a_fast_writer_to_a_client(engine: Engine) -> None:
    command = ["sh", "-c", f"seq {LINES} & seq {LINES} >&2; wait"]
    result = run.run(engine, {"Image": "busybox", "Cmd": command}, {"NetworkMode": "none", "AutoRemove": True})
    assert [hashlib.sha256(text).hexdigest() for text in (result.output, result.stderr)] == [EXPECTED] * 2


def progress(engine: Engine, id: str) -> int:
    return Path(Container.load(engine, id).log_path).stat().st_size


def still(engine: Engine, id: str) -> int | None:
    """The size of the log if the container writes no more, seen while another one ran from beginning to end."""
    before = progress(engine, id)
    other = made(engine, "true")
    start.start(engine, other)
    assert wait.wait(engine, other, timeout=20)["StatusCode"] == 0, "the engine and others go on"
    rm.rm(engine, other)
    return before if progress(engine, id) == before else None


@pytest.mark.parametrize("tty", [False, True], ids=["pipes", "tty"])
def test_a_reader_that_never_reads(engine: Engine, tty: bool) -> None:
    """Its container waits, nobody else does; when it has gone, all goes on, and the log is whole."""
    id = made(engine, "seq", str(LINES * 2), tty=tty)
    sock: socket.socket = attach.attach(engine, id, stdin=False)
    start.start(engine, id)
    remains.eventually(lambda: still(engine, id), "the writer is held back")
    size = progress(engine, id)
    assert size > 0
    with attach.attach(engine, id, stdin=False) as second:
        second.settimeout(20)
        assert wait_times_out(engine, id), "it still waits"
        sock.close()
        received = 0
        while data := second.recv(1 << 16):
            received += len(data)
    assert received > 0
    assert wait.wait(engine, id, timeout=60)["StatusCode"] == 0
    text = b"".join(logged([Path(Container.load(engine, id).log_path)]))
    assert re.sub(b"\r\n", b"\n", text) == "".join(f"{n}\n" for n in range(1, LINES * 2 + 1)).encode()
    rm.rm(engine, id)


def wait_times_out(engine: Engine, id: str) -> bool:
    try:
        wait.wait(engine, id, timeout=0.3)
    except TimeoutError:
        return True
    return False


def test_a_reader_that_never_reads_and_a_stop(engine: Engine) -> None:
    """A container that is held back can be removed like any other: nothing of it stays, and the reader's wait is over."""
    before = remains.look(engine)
    id = made(engine, "yes")
    with attach.attach(engine, id, stdin=False) as reader:
        start.start(engine, id)
        remains.eventually(lambda: still(engine, id), "the writer is held back")
        rm.rm(engine, id, force=True)
        assert not engine.paths.container(id).exists()
        with pytest.raises(NotFound):
            Container.load(engine, id)
        reader.settimeout(30)
        while reader.recv(1 << 20):  # what had been written, and then the end: no error, no waiting for ever
            pass
    assert remains.settled(engine.paths.root, before, ignore=("fds",)) == []

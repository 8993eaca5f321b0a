"""Which entries of a log are shown: whole lines, the boundaries of since and until, the last few."""

from __future__ import annotations

import io
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from minidock.daemon.base.timestamps import parse_when, to_ns
from minidock.daemon.containers import logs
from minidock.daemon.record.container import Container

TIMES = [f"2015-03-30T09:38:1{n}.123456789Z" for n in range(4)]
ENTRIES = [b'{"log":"%d\\n","stream":"stdout","time":"%s"}\n' % (n, when.encode()) for n, when in enumerate(TIMES)]
BOTH = frozenset((1, 2))


def shown(since: str = "", until: str = "") -> list[bytes]:
    wanted = logs.Wanted(BOTH, to_ns(since), to_ns(until), False)
    return [text for _stream, text in logs._select(iter(ENTRIES), wanted)]


def test_the_entry_of_the_very_moment_belongs_to_both_sides() -> None:
    """As in docker (moby ``daemon/logger/loggerutils``): who asks since the last line that he saw gets that line again."""
    assert shown(since=TIMES[2]) == [b"2\n", b"3\n"]
    assert shown(until=TIMES[1]) == [b"0\n", b"1\n"]
    assert shown(since=TIMES[1], until=TIMES[1]) == [b"1\n"]
    later = TIMES[2].replace("789Z", "790Z")
    assert shown(since=later) == [b"3\n"], "one nanosecond after it"


def test_a_line_that_is_being_written_is_left_for_the_next_look() -> None:
    whole, half = ENTRIES[0], ENTRIES[1][:20]
    file = io.BytesIO(whole + half)
    assert list(logs._whole_lines(file)) == [whole]
    assert list(logs._whole_lines(file)) == []
    file.getbuffer().release()
    position = file.tell()
    file.seek(0, io.SEEK_END)
    file.write(ENTRIES[1][20:])
    file.seek(position)
    assert list(logs._whole_lines(file)) == [ENTRIES[1]]


@pytest.mark.parametrize(("tail", "numbers"), [(None, b"0123"), (2, b"23"), (0, b""), (9, b"0123")])
def test_the_last_few(tmp_path: Path, tail: int | None, numbers: bytes) -> None:
    path = tmp_path / "x-json.log"
    path.write_bytes(b"".join(ENTRIES))
    container = cast(Container, SimpleNamespace(log_path=str(path), directory=tmp_path))
    wanted: Any = logs.Wanted(BOTH, 0, 0, False)
    found = logs._read(container, wanted, tail, False, None)
    assert b"".join(text for _stream, text in found) == b"".join(b"%c\n" % n for n in numbers)


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("10m", 600), ("2h", 7200), ("1h30m", 5400), ("1.5s", 1.5), ("250ms", 0.25)]
)
def test_durations_before_now(text: str, seconds: float) -> None:
    before = time.time_ns()
    found = parse_when(text, "since")
    assert before <= found + seconds * 1e9 <= time.time_ns()

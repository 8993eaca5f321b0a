"""Whatever goes wrong inside a verb, its caller sees one SystemFault, at once or in the middle of a stream."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from minidock.daemon.base.verb import stream, verb
from minidock.errors import SystemFault


@verb
def read_all(error: OSError) -> None:
    raise error


@stream
def read_some(error: OSError, closed: list[str]) -> Iterator[int]:
    try:
        yield 1
        raise error
    finally:
        closed.append("closed")


@stream
def read_none(error: OSError) -> Iterator[int]:
    raise error


def test_a_fault_has_the_verb_as_its_step_and_keeps_path_and_errno() -> None:
    with pytest.raises(SystemFault, match=r"^read all /x: input/output error$") as caught:
        read_all(OSError(errno.EIO, "", "/x"))
    assert caught.value.errno == errno.EIO


def test_a_stream_fails_as_a_verb_does_after_what_it_has_given() -> None:
    closed: list[str] = []
    found = read_some(OSError(errno.EIO, "", "/x"), closed)
    assert next(found) == 1
    with pytest.raises(SystemFault, match=r"^read some /x: input/output error$"):
        next(found)
    assert closed == ["closed"]
    with pytest.raises(SystemFault, match=r"^read none /x:"):
        read_none(OSError(errno.EIO, "", "/x"))


def test_a_stream_that_nobody_reads_to_its_end_is_closed() -> None:
    closed: list[str] = []
    found = read_some(OSError(errno.EIO, ""), closed)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert closed == ["closed"]


def test_a_timeout_is_an_answer() -> None:
    for call in (lambda: read_all(TimeoutError("late")), lambda: list(read_some(TimeoutError("late"), []))[2:]):
        with pytest.raises(TimeoutError):
            call()

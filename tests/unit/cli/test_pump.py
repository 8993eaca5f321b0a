"""The byte pump, on socket pairs and pipes: no terminal and no container needed."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.cli.terminal.pump import Demultiplexer, Pump
from minidock.shim.detach import Scanner, parse


def frame(stream: int, payload: bytes) -> bytes:
    return struct.pack(">BxxxI", stream, len(payload)) + payload


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=30))), st.lists(st.integers(1, 20), min_size=1))
def test_frames_cut_anywhere(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data, at, turn = b"".join(frame(*f) for f in frames), 0, 0
    demultiplexer = Demultiplexer(11, 22)
    got = {11: b"", 22: b""}
    while at < len(data):
        size = cuts[turn % len(cuts)]
        for fd, part in demultiplexer.feed(data[at : at + size]):
            got[fd] += part
        at, turn = at + size, turn + 1
    assert got == {11: b"".join(p for s, p in frames if s == 1), 22: b"".join(p for s, p in frames if s == 2)}


def test_a_stream_that_was_not_asked_for_is_dropped() -> None:
    assert Demultiplexer(None, 2).feed(frame(1, b"no") + frame(2, b"yes")) == [(2, b"yes")]


@contextmanager
def pumping(tty: bool = True, keys: Scanner | None = None) -> Iterator[tuple[socket.socket, int, int, list[bool]]]:
    """A pump in a thread: (the container's end, where to type, where to read, what it returned)."""
    ours, theirs = socket.socketpair()
    type_end, read_end = os.pipe(), os.pipe()
    result: list[bool] = []
    pump = Pump(ours, tty=tty, stdin=type_end[0], stdout=read_end[1], stderr=read_end[1], keys=keys)
    thread = threading.Thread(target=lambda: result.append(pump.run()))
    thread.start()
    try:
        yield theirs, type_end[1], read_end[0], result
    finally:
        theirs.close()
        thread.join()
        ours.close()
        for fd in (type_end[0], *read_end):
            os.close(fd)


def test_bytes_go_both_ways_and_the_end_of_stdin_is_a_half_close() -> None:
    with pumping() as (container, keyboard, screen, result):
        os.write(keyboard, b"typed")
        assert container.recv(100) == b"typed"
        os.close(keyboard)
        assert container.recv(100) == b""
        container.sendall(b"still there")
        assert os.read(screen, 100) == b"still there"
    assert result == [False]


def test_detach_keys_end_it_and_are_not_sent() -> None:
    with pumping(keys=Scanner(parse("ctrl-p,ctrl-q"))) as (container, keyboard, _screen, result):
        os.write(keyboard, b"a\x10b\x10\x11never")
        assert container.recv(100) == b"a\x10b"
        os.close(keyboard)
    assert result == [True]


def test_a_process_that_reads_nothing_does_not_stop_its_output() -> None:
    """Fill the socket towards the process first: its output must come all the same."""
    with pumping() as (container, keyboard, screen, _result):
        container.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        writer = threading.Thread(target=lambda: os.write(keyboard, b"x" * (4 << 20)))
        writer.start()
        container.sendall(b"output")
        assert os.read(screen, 100) == b"output"
        writer.join(0.3)
        assert writer.is_alive(), "what nobody reads is not taken in: the command would grow without end"
        left = 4 << 20
        while left:
            left -= len(container.recv(1 << 16))
        writer.join()
        os.close(keyboard)


@pytest.mark.parametrize("tty", [True, False])
def test_the_other_side_hangs_up(tty: bool) -> None:
    with pumping(tty) as (container, keyboard, _screen, result):
        container.close()
        os.close(keyboard)
    assert result == [False]


def test_a_beginning_of_the_detach_keys_at_the_end_of_the_input_is_input() -> None:
    with pumping(keys=Scanner(parse("ctrl-p,ctrl-q"))) as (container, keyboard, _screen, _result):
        os.write(keyboard, b"a\x10")
        assert container.recv(100) == b"a"
        os.close(keyboard)
        assert container.recv(100) == b"\x10"

"""The hijacked stream taken apart: the same as docker-py's own reader does with the same bytes."""

import io
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker.utils import socket as docker_socket
from hypothesis import given
from hypothesis import strategies as st

from minidock.client import streams
from minidock.client.api.image import as_file
from minidock.shim.protocol import frame

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40)), max_size=8)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def sent(data: bytes) -> socket.socket:
    """A socket on which `data` and then the end arrives."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(data)
    return ours


@given(FRAMES, st.booleans())
def test_frames_read_as_docker_py_reads_them(frames: list[tuple[int, bytes]], demux: bool) -> None:
    data = b"".join(frame(*f) for f in frames)
    mine = streams.collect(streams.frames(sent(data), tty=False), demux)
    with sent(data) as sock:
        pairs = docker_socket.frames_iter(sock, False)
        items = (docker_socket.demux_adaptor(*p) for p in pairs) if demux else (d for _, d in pairs)
        theirs = docker_socket.consume_socket_output(items, demux)
    assert mine == theirs


@given(FRAMES, st.integers(0, 400))
def test_a_stream_cut_anywhere_ends_without_an_error(frames: list[tuple[int, bytes]], cut: int) -> None:
    data = b"".join(frame(*f) for f in frames)
    whole = b"".join(payload for _, payload in frames)
    got = b"".join(d for _, d in streams.frames(sent(data[:cut]), tty=False))
    assert whole.startswith(got)
    assert (got == whole) == (cut >= len(data) or not whole[len(got) :])


def test_a_terminal_s_stream_is_raw() -> None:
    assert streams.collect(streams.frames(sent(b"\x01\x00raw"), tty=True), demux=True) == (b"\x01\x00raw", None)


def test_the_socket_is_closed_at_the_end_and_when_given_up() -> None:
    for take in (list, next):
        sock = sent(frame(1, b"a") + frame(1, b"b"))
        iterator = streams.frames(sock, tty=False)
        take(iterator)
        iterator.close()
        assert sock.fileno() == -1


def test_close_wakes_a_blocked_reader(pair: tuple[socket.socket, socket.socket]) -> None:
    stream = streams.CancellableStream.over_socket(pair[0], tty=False, demux=False)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.extend(stream))
    reader.start()
    pair[1].sendall(frame(1, b"x"))
    stream.close()
    reader.join(10)
    assert not reader.is_alive() and got in ([], [b"x"])
    stream.close()  # once more is nothing


def test_raw_socket_is_what_docker_py_s_users_expect(pair: tuple[socket.socket, socket.socket]) -> None:
    raw = streams.raw_socket(pair[0])
    pair[1].sendall(frame(2, b"err"))
    assert docker_socket.next_frame_header(raw) == (2, 3)
    assert docker_socket.read_exactly(raw, 3) == b"err"
    raw._sock.sendall(b"typed")  # type: ignore[attr-defined]
    assert pair[1].recv(10) == b"typed"
    raw._sock.shutdown(socket.SHUT_WR)  # type: ignore[attr-defined]
    assert pair[1].recv(10) == b""
    descriptor = raw.fileno()
    raw.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@given(st.lists(st.binary(max_size=10), max_size=6), st.integers(1, 7))
def test_an_iterator_of_bytes_reads_as_a_file(chunks: list[bytes], size: int) -> None:
    file = as_file(iter(chunks))
    assert b"".join(iter(lambda: file.read(size), b"")) == b"".join(chunks)


def test_bytes_and_files_are_taken_as_they_are(tmp_path: Path) -> None:
    assert as_file(b"abc").read() == b"abc"
    file = io.BytesIO(b"x")
    assert as_file(file) is file


def test_a_write_larger_than_one_read_arrives_whole() -> None:
    data = bytes(range(256)) * 400
    assert len(data) > 3 * streams.CHUNK
    pairs = list(streams.frames(sent(frame(1, data) + frame(2, b"end")), tty=False))
    assert b"".join(part for stream, part in pairs if stream == 1) == data and pairs[-1] == (2, b"end")


def test_each_stream_has_its_place() -> None:
    """docker-py: (stdout, stderr)."""
    both = [(1, b"out"), (2, b"err")]
    assert list(streams.output(iter(both), demux=True)) == [(b"out", None), (None, b"err")]
    assert streams.collect(iter(both), demux=True) == (b"out", b"err")

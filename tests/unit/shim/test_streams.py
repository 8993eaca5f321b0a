"""Pumping between pipes or a pty, the log and attached clients, without any container: this test is the program."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import socket
import termios
import tty

import pytest

from minidock.linux import tty as linux_tty
from minidock.shim import protocol
from minidock.shim.jsonlog import JSONFile
from minidock.shim.loop import Loop
from minidock.shim.streams import BACKLOG, Client, Streams


class Bench:
    """A Streams with the container's ends in our hands."""

    def __init__(self, folder, *, terminal=False, stdin=True, stdin_once=False, log=True) -> None:
        self.path = folder / "log"
        self.loop = Loop()
        self.streams = Streams(self.loop, JSONFile(str(self.path)) if log else None, terminal=terminal, stdin_once=stdin_once)
        if terminal:
            master, self.tty = pty.openpty()
            tty.setraw(self.tty)
            self.streams.open_output(master, protocol.STDOUT)
            self.streams.open_input(master)
            self.ends = {self.tty}
            return
        self.ends = set()
        for stream, name in ((protocol.STDOUT, "stdout"), (protocol.STDERR, "stderr")):
            reader, writer = os.pipe()
            self.streams.open_output(reader, stream)
            setattr(self, name, writer)
            self.ends.add(writer)
        if stdin:
            self.stdin, writer = os.pipe()
            os.set_blocking(self.stdin, False)
            self.streams.open_input(writer)
            self.ends.add(self.stdin)

    def attach(self, **options) -> socket.socket:
        ours, theirs = socket.socketpair()
        wants = {"stdin": True, "stdout": True, "stderr": True} | options
        self.streams.attach(Client(theirs, **wants))
        ours.settimeout(5)
        return ours

    def turns(self) -> None:
        """Run the loop for as long as there is something to do at once."""
        poll = self.loop._poll
        for _ in range(1000):
            if not poll.poll(0):
                return
            self.loop.turn()
        raise AssertionError("the loop spins")

    def log(self) -> list[tuple[str, str]]:
        return [(e["stream"], e["log"]) for e in map(json.loads, self.path.read_text().splitlines())]

    def close_end(self, fd: int) -> None:
        self.ends.remove(fd)
        os.close(fd)

    def close(self) -> None:
        self.streams.close()
        for fd in self.ends:
            os.close(fd)


@pytest.fixture
def bench(tmp_path):
    with contextlib.ExitStack() as stack:

        def make(**options) -> Bench:
            return stack.enter_context(contextlib.closing(Bench(tmp_path, **options)))

        yield make


def everything(sock: socket.socket) -> bytes:
    with sock:
        return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def test_frames_to_every_client_and_the_log(bench) -> None:
    b = bench()
    one, two, quiet = b.attach(), b.attach(stdin=False), b.attach(stdout=False)
    os.write(b.stdout, b"out\n")
    b.turns()
    os.write(b.stderr, b"err\n")
    b.turns()
    b.streams.drain()
    both = protocol.frame(1, b"out\n") + protocol.frame(2, b"err\n")
    assert everything(one) == both and everything(two) == both
    assert everything(quiet) == protocol.frame(2, b"err\n")
    assert b.log() == [("stdout", "out\n"), ("stderr", "err\n")]


def test_drain_takes_what_is_there_and_does_not_wait_for_more(bench) -> None:
    b = bench()
    client = b.attach()
    os.write(b.stdout, b"last words")  # and the writing end stays open, as with a process that got away
    b.streams.drain()
    assert everything(client) == protocol.frame(1, b"last words")
    assert b.log() == [("stdout", "last words")]
    assert not b.streams.unserved


def test_a_stuck_client_holds_the_container_back_and_costs_the_log_nothing(bench) -> None:
    b = bench()
    stuck = b.attach()
    os.set_blocking(b.stdout, False)
    line, written = b"x" * 99 + b"\n", 0
    while True:
        try:
            written += os.write(b.stdout, line * 100)
        except BlockingIOError:
            b.turns()
            try:
                written += os.write(b.stdout, line)
            except BlockingIOError:
                break
    assert BACKLOG < written < BACKLOG + (1 << 20)
    b.turns()
    stuck.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while stuck.recv(1 << 20):
            b.turns()
    written += os.write(b.stdout, line)
    b.turns()
    b.streams.drain()
    stuck.close()
    assert sum(len(text) for _, text in b.log()) == written


def test_a_client_that_went_away_holds_nobody(bench) -> None:
    b = bench()
    gone, stays = b.attach(), b.attach()
    gone.close()
    for _ in range(40):
        os.write(b.stdout, b"y" * 50000)
        b.turns()
        stays.recv(1 << 18)
    assert len(b.streams._clients) == 1
    stays.close()


def test_a_slow_client_is_served_after_the_end(bench) -> None:
    b = bench()
    slow = b.attach()
    for _ in range(12):
        os.write(b.stdout, b"z" * 60000)
        b.turns()
    b.streams.drain()
    assert b.streams.unserved
    got = b""
    while b.streams.unserved:
        got += slow.recv(1 << 16)
        b.turns()
    got += everything(slow)
    assert len(got) == 12 * 60008


def test_stdin_of_several_clients_and_no_end(bench) -> None:
    b = bench()
    one, two = b.attach(), b.attach()
    one.sendall(b"1")
    b.turns()
    two.sendall(b"2")
    b.turns()
    one.shutdown(socket.SHUT_WR)
    b.turns()
    assert os.read(b.stdin, 10) == b"12"
    with pytest.raises(BlockingIOError):
        os.read(b.stdin, 1)
    os.write(b.stdout, b"still here")
    b.turns()
    assert one.recv(100) == protocol.frame(1, b"still here")
    one.close()
    two.close()


def test_stdin_once_ends_with_the_first(bench) -> None:
    b = bench(stdin_once=True)
    with b.attach() as one:
        one.sendall(b"all")
        one.shutdown(socket.SHUT_WR)
        b.turns()
        assert os.read(b.stdin, 10) == b"all"
        assert os.read(b.stdin, 10) == b""


def test_stdin_sent_and_hung_up_arrives_whole(bench) -> None:
    """More than the pipe holds, from a client that has gone before the container reads a byte."""
    b = bench(stdin_once=True)
    text = os.urandom(180000)
    with b.attach() as one:
        one.sendall(text[:150000])
        b.turns()
        one.sendall(text[150000:])
    got = b""
    while True:
        b.turns()  # raises if the hang-up makes the loop spin
        try:
            part = os.read(b.stdin, 1 << 14)
        except BlockingIOError:
            continue
        if not part:
            break
        got += part
    assert got == text


def test_a_container_that_closed_its_stdin_does_not_hurt(bench) -> None:
    b = bench()
    b.close_end(b.stdin)
    with b.attach() as one:
        for _ in range(5):
            one.sendall(b"nobody reads this")
            b.turns()
        os.write(b.stdout, b"fine")
        b.turns()
        assert one.recv(100) == protocol.frame(1, b"fine")


def test_input_without_stdin_is_thrown_away(bench) -> None:
    b = bench(stdin=False)
    with b.attach() as one:
        for _ in range(10):
            one.sendall(b"x" * 60000)  # a megabyte would not fit into the socket's buffer if nobody read
            b.turns()
        assert select.select([one], [], [], 0)[0] == []  # no answer, and no end either
        os.write(b.stdout, b"fine")
        b.turns()
        assert one.recv(100) == protocol.frame(1, b"fine")


def test_tty_is_raw_both_ways_and_detaches(bench) -> None:
    b = bench(terminal=True)
    one = b.attach(keys=b"\x10\x11")
    os.write(b.tty, b"prompt$ ")
    b.turns()
    assert one.recv(100) == b"prompt$ "
    one.sendall(b"ls\r\x10")
    b.turns()
    assert os.read(b.tty, 100) == b"ls\r"
    one.sendall(b"x\x10")
    b.turns()
    assert os.read(b.tty, 100) == b"\x10x"
    one.sendall(b"\x11after")
    b.turns()
    assert everything(one) == b""
    os.set_blocking(b.tty, False)
    with pytest.raises(BlockingIOError):
        os.read(b.tty, 1)
    assert b.log() == []  # a log holds whole lines; the prompt waits for the rest of its line
    b.streams.drain()
    assert b.log() == [("stdout", "prompt$ ")]


def test_tty_resize(bench) -> None:
    """The program learns the new size of its terminal."""
    b = bench(terminal=True)
    b.streams.resize(33, 101)
    assert linux_tty.get_size(b.tty) == (33, 101) == tuple(termios.tcgetwinsize(b.tty))


def test_resize_without_a_tty(bench) -> None:
    with pytest.raises(OSError, match="nappropriate ioctl"):
        bench().streams.resize(1, 1)


def test_tty_hangup_ends_the_output_and_not_the_loop(bench) -> None:
    b = bench(terminal=True)
    one = b.attach()
    os.write(b.tty, b"bye\n")
    b.close_end(b.tty)
    b.turns()
    assert b.streams._outputs == {}
    one.sendall(b"anyone?")
    b.turns()
    b.streams.drain()
    assert everything(one) == b"bye\n"


def test_log_driver_none(bench) -> None:
    b = bench(log=False)
    with b.attach() as one:
        os.write(b.stdout, b"x")
        b.turns()
        assert one.recv(100) == protocol.frame(1, b"x")

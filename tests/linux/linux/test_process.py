"""clone3, pidfds and what a process passes on."""

from __future__ import annotations

import errno
import os
import signal
from typing import NoReturn

import pytest

from minidock.linux import process, trace
from tests.linux.libcontainer.children import in_child


def _exit(status: int) -> NoReturn:
    os._exit(status)


def test_clone3_gives_a_pid_and_a_pidfd_of_a_real_child() -> None:
    pid, pidfd = process.clone3(lambda: _exit(7), 0)
    try:
        assert process.pid_of(pidfd) == pid
        assert not os.get_inheritable(pidfd)
        assert process.wait_pidfd(pidfd) == 7
        with pytest.raises(ChildProcessError):
            process.wait_pidfd(pidfd)
    finally:
        os.close(pidfd)


def test_a_child_that_raises_never_comes_back_as_us() -> None:
    us = os.getpid()

    def child() -> NoReturn:
        raise ValueError("a bug")

    _pid, pidfd = process.clone3(child, 0)
    assert os.getpid() == us
    assert process.wait_pidfd(pidfd) == 1
    os.close(pidfd)


def test_a_fault_at_the_clone_leaves_no_child() -> None:
    def attempt() -> list[object]:
        trace.install(trace.Tracer("here", trace.FaultPlan("here", 1)))
        try:
            process.clone3(lambda: _exit(0), 0)
        except trace.InjectedFault:
            pass
        else:
            return ["no fault"]
        trace.install(None)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return [len(os.listdir("/proc/self/fd"))]
        return ["a child is left"]

    assert in_child(attempt) == in_child(lambda: [len(os.listdir("/proc/self/fd"))])


def test_signals_through_a_pidfd_and_how_an_end_is_told() -> None:
    def child() -> NoReturn:
        while True:
            signal.pause()

    pid, pidfd = process.clone3(child, 0)
    assert process.wait_pidfd(pidfd, blocking=False) is None
    assert process.start_time(pid) > 0
    process.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert process.wait_pidfd(pidfd) == 128 + signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        process.pidfd_send_signal(pidfd, 0)
    process.end(pidfd)  # once more does no harm
    os.close(pidfd)


def test_start_time_reads_past_a_hostile_name() -> None:
    def named() -> bool:
        before = process.start_time(os.getpid())
        process.set_name("a) R 1 2 (b")
        return process.start_time(os.getpid()) == before

    assert in_child(named) is True
    with pytest.raises(FileNotFoundError):
        process.start_time(1 << 22)


def test_close_range_and_title_and_name() -> None:
    def close() -> list[str]:
        os.dup2(0, 77)
        process.close_range(3)
        return [str(n) for n in (0, 3, 77) if os.path.exists(f"/proc/self/fd/{n}")]

    def title() -> list[str]:
        process.set_title("minidock-test")
        process.set_name("a-name")
        with open("/proc/self/cmdline", "rb") as line, open("/proc/self/comm") as comm:
            return [line.read().rstrip(b"\0").decode(), comm.read().strip()]

    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # in_child's own pipe would be closed as well
        os.dup2(writer, 2)
        answer = close()
        os.write(2, " ".join(answer).encode())
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 100).split()[0] == b"0"
    os.close(reader)
    os.waitpid(pid, 0)
    assert in_child(title) == ["minidock-test", "a-name"]


def test_execveat_runs_what_a_descriptor_is_open_on() -> None:
    reader, writer = os.pipe()

    def child() -> NoReturn:
        os.dup2(writer, 1)
        process.execveat(os.open("/bin/busybox", os.O_RDONLY | os.O_CLOEXEC), ("echo", "by", "descriptor"), ())
        os._exit(9)

    _pid, pidfd = process.clone3(child, 0)
    os.close(writer)
    assert os.read(reader, 100) == b"by descriptor\n"
    assert process.wait_pidfd(pidfd) == 0
    os.close(pidfd)
    os.close(reader)


def test_errors_keep_their_errno() -> None:
    with pytest.raises(OSError, match="close_range") as caught:
        process.close_range(2, 1)
    assert caught.value.errno == errno.EINVAL

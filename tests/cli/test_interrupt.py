"""Ctrl-C, or a ``kill -INT``, ends every command that waits or follows, also where no terminal is."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import MINIDOCK, Cli

pytestmark = pytest.mark.root
QUIET = 0.3  # seconds without a tick of processor time, asleep: it has come to where it waits


def until_it_waits(pid: int) -> None:
    """Return when the process has slept for `QUIET` seconds. Raises AssertionError if it never does."""
    deadline, since, before = time.monotonic() + 30, time.monotonic(), ""
    while time.monotonic() - since < QUIET:
        assert time.monotonic() < deadline, "it never waits"
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        now = f"{fields[0]} {fields[11]} {fields[12]}"
        if now != before or fields[0] != "S":
            since, before = time.monotonic(), now
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "command",
    [
        "logs -f box",
        "logs -f silent",
        "wait box",
        "stop -t 100 box",
        "exec box sleep 1000",
        "attach --sig-proxy=false box",
        "run --rm --sig-proxy=false --net=none busybox sleep 1000",
        "start -a --sig-proxy=false made",
    ],
)
def test_a_command_that_waits(cli: Cli, background: Callable[..., str], command: str, number: signal.Signals) -> None:
    cli.ok("run", "-d", "--name=box", "--net=none", "busybox", "sh", "-c", "echo on; trap '' TERM; while :; do sleep 1; done")
    background("--name=silent")
    cli.ok("create", "--name=made", "--net=none", "busybox", "sleep", "1000")
    with subprocess.Popen(
        [MINIDOCK, *command.split()],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli.env,
    ) as waiting:  # fmt: skip
        until_it_waits(waiting.pid)
        waiting.send_signal(number)
        try:
            _out, err = waiting.communicate(timeout=10)
        finally:
            waiting.kill()
    # 128 + number is what a shell sees of a process that the signal ended, too
    assert (waiting.returncode, err) in ((128 + number, ""), (-number, ""))


def test_a_screen_that_is_drawn_anew(cli: Cli, background: Callable[..., str]) -> None:
    background("--name=box")
    with subprocess.Popen(
        [MINIDOCK, "stats"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=cli.env
    ) as screen:
        assert screen.stdout and "CONTAINER ID" in screen.stdout.readline()
        screen.send_signal(signal.SIGINT)
        _out, err = screen.communicate(timeout=10)
    assert (screen.returncode, err) == (128 + signal.SIGINT, "")


def test_a_reader_of_one_stream_that_leaves_ends_the_following_of_both(cli: Cli) -> None:
    script = "echo on; while :; do echo err >&2; done"
    cli.ok("run", "-d", "--name=box", "--net=none", "--log-opt=max-size=1m", "busybox", "sh", "-c", script)
    reader, writer = os.pipe()
    with subprocess.Popen([MINIDOCK, "logs", "-f", "box"], stdout=subprocess.PIPE, stderr=writer, env=cli.env) as command:
        os.close(writer)
        assert os.read(reader, 4) == b"err\n"
        os.close(reader)
        assert command.wait(20) == 141

"""The bar: on a terminal, in a live notebook, and not where nobody looks."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from ipywidgets import IntProgress
from ipywidgets.widgets.widget import _instances

from minidock.lab import progress

CODE = """
from minidock.lab.progress import bar
with bar("halves", 3, WANTED) as advance:
    for _ in range(3):
        advance()
print("done")
"""


def on_a_terminal(wanted: bool) -> bytes:
    """What the program writes to a terminal that is its stderr."""
    ours, theirs = pty.openpty()
    try:
        argv = [sys.executable, "-c", CODE.replace("WANTED", str(wanted))]
        done = subprocess.run(argv, stderr=theirs, stdout=subprocess.PIPE, check=True, env={**os.environ, "TERM": "xterm"})
        assert done.stdout == b"done\n"
        os.close(theirs)
        theirs = -1
        return drain(ours)
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)


def drain(fd: int) -> bytes:
    said = b""
    try:
        while chunk := os.read(fd, 65536):
            said += chunk
    except OSError:  # EIO: the other end is closed (pty(7))
        pass
    return said


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    said = on_a_terminal(True)
    assert b"halves" in said and b"100%" in said
    assert on_a_terminal(False) == b""


def test_nobody_looks(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a reader there is no progress bar in the output."""
    with progress.bar("quiet", 2) as advance:
        advance()
    assert capfd.readouterr() == ("", "")


def test_a_widget_counts(capsys: pytest.CaptureFixture[str]) -> None:
    before = set(_instances)
    with progress._widget("halves", 3) as advance:
        (shown,) = (w for key, w in _instances.items() if key not in before and isinstance(w, IntProgress))
        assert (shown.min, shown.max, shown.value) == (0, 3, 0)
        for done in (1, 2, 3):
            advance()
            assert shown.value == done
    assert "IntProgress" in capsys.readouterr().out
    assert shown.comm is None, "it goes away at the end"

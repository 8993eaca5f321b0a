"""``logs``: read a container's json-file log, its older parts too, and follow it while it grows.

::

    <id>-json.log.2   <id>-json.log.1   <id>-json.log      older … newest (--log-opt max-file)
    {"log":"text\\n","stream":"stdout","time":"2015-03-30T09:38:11.123456789Z"}      one line each
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, BinaryIO

from minidock.daemon.base import verb
from minidock.daemon.base.timestamps import parse_when, to_ns
from minidock.daemon.base.watch import Stop, watch
from minidock.daemon.record.container import Container
from minidock.daemon.record.names import lookup
from minidock.errors import InvalidParameter
from minidock.frozen import Frozen

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

_STREAMS = {"stdout": 1, "stderr": 2}


class Wanted(Frozen):
    """Which entries: streams by number, times in nanoseconds (0: no bound), with the time in front or not."""

    streams: frozenset[int]
    since: int
    until: int
    timestamps: bool


@verb.stream
def logs(
    engine: Engine,
    ref: str,
    *,
    stdout: bool = True,
    stderr: bool = True,
    since: str | int | float | None = None,
    until: str | int | float | None = None,
    timestamps: bool = False,
    tail: str | int = "all",
    follow: bool = False,
    stop: Stop | None = None,
) -> Iterator[tuple[int, bytes]]:
    """(stream, text) of each log entry; stream is 1 stdout or 2 stderr. `follow` goes on until the container has ended,
    or `stop` becomes readable.

    `tail` is a number of entries or "all"; `since` and `until` are Unix times, RFC 3339 or durations before now. Raises
    ContainerNotFound, InvalidParameter, all before the first entry.
    """
    if not stdout and not stderr:
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    container = lookup(engine, ref)
    if not container.log_path:
        raise InvalidParameter("configured logging driver does not support reading")
    streams = frozenset(number for number, on in ((1, stdout), (2, stderr)) if on)
    wanted = Wanted(streams, parse_when(since, "since"), parse_when(until, "until"), timestamps)
    return _read(container, wanted, tail_count(tail), follow, stop)


def tail_count(tail: str | int | None) -> int | None:
    """``--tail``: None for all; what is no number means all, as with docker."""
    text = str(tail)
    return int(text) if text.isdecimal() else None


def open_parts(path: str, stack: ExitStack) -> list[BinaryIO]:
    """The log's files that are there, oldest first; `stack` closes them.

    The shim may be rotating them meanwhile, one rename after the other: so they are opened until two looks at the folder agree.
    """
    while True:
        before = _listing(path)
        with ExitStack() as attempt:
            try:
                files: list[BinaryIO] = [attempt.enter_context(open(name, "rb")) for name, _inode in before]
            except FileNotFoundError:
                continue
            inodes = [os.fstat(file.fileno()).st_ino for file in files]
            if inodes == [inode for _name, inode in before] and before == _listing(path):
                stack.push(attempt.pop_all())
                return files


def _listing(path: str) -> list[tuple[str, int]]:
    """(name, inode) of the log's files, oldest first. In the middle of a rotation a number may be missing."""
    folder, base = os.path.split(path)
    numbered = []
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:  # the container is gone
        return []
    for entry in entries:
        number = entry.name.removeprefix(base).removeprefix(".")
        if entry.name == base or (entry.name.startswith(f"{base}.") and number.isdecimal()):
            numbered.append((int(number or 0), entry.path, entry.inode()))
    return [(name, inode) for _number, name, inode in sorted(numbered, reverse=True)]


def _read(
    container: Container, wanted: Wanted, tail: int | None, follow: bool, stop: Stop | None
) -> Iterator[tuple[int, bytes]]:
    with ExitStack() as stack:
        changes = stack.enter_context(watch(container.directory, stop)) if follow else None
        files = open_parts(container.log_path, stack)
        old = _select((entry for file in files for entry in _whole_lines(file)), wanted)
        yield from old if tail is None else deque(old, maxlen=tail)
        if changes is None:
            return
        current = files[-1] if files else None
        while True:
            ended = not container.refresh() or not container.state().active
            current = yield from _new_entries(container, current, wanted, stack)
            if ended or changes.stopped:
                return  # looked once more after the end
            changes.wait()


def _new_entries(
    container: Container, current: BinaryIO | None, wanted: Wanted, stack: ExitStack
) -> Generator[tuple[int, bytes], None, BinaryIO | None]:
    """What was added to the file that is being read, and then to those that took its place since; returns the newest."""
    while True:
        if current is not None:
            yield from _select(_whole_lines(current), wanted)
        there = open_parts(container.log_path, stack)
        following = _successor(there, current)
        for file in there:
            if file is not following:
                file.close()
        if following is None:
            return current
        current = following


def _successor(there: list[BinaryIO], current: BinaryIO | None) -> BinaryIO | None:
    """The file after `current` in the rotation; None if that is the newest. If it was rotated away, the oldest left."""
    if current is None:
        return there[0] if there else None
    inodes = [os.fstat(file.fileno()).st_ino for file in there]
    inode = os.fstat(current.fileno()).st_ino
    if inode not in inodes:
        return there[0] if there else None
    place = inodes.index(inode) + 1
    return there[place] if place < len(there) else None


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines from here on; one that is still being written is left for the next time."""
    while True:
        position = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(position)
            return
        yield line


def _select(lines: Iterator[bytes], wanted: Wanted) -> Iterator[tuple[int, bytes]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # torn by a power cut
        stream = _STREAMS.get(entry.get("stream", "stdout"), 1)
        if stream not in wanted.streams:
            continue
        if wanted.since or wanted.until:
            at = to_ns(entry["time"])
            if at < wanted.since or (wanted.until and at > wanted.until):
                continue
        text = entry.get("log", "").encode("utf-8", "surrogateescape")
        yield stream, f"{entry['time']} ".encode() + text if wanted.timestamps else text

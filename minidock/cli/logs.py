"""``minidock logs``: what a container wrote, its stdout to ours and its stderr to ours.

docker-py's client merges the two streams. Where ours go to the same place (a terminal, ``2>&1``) that is just right, the order
included; where they do not, each is asked for by itself, and their order cannot be seen anyhow.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, boolean, string
from minidock.cli.opts import OptionError, times
from minidock.cli.streams import write_all


def do(context: Context, parsed: Parsed) -> int:
    """Print the log; with --follow until the container has ended."""
    api = context.api
    tail = parsed["tail"]
    try:
        since, until = times.point("since", parsed["since"]), times.point("until", parsed["until"])
    except OptionError as error:
        raise UsageError(str(error), 1) from None
    found = api.inspect_container(parsed.args[0])

    def copy(fd: int, stdout: bool, stderr: bool) -> None:
        stream = api.logs(
            found["Id"],
            stdout=stdout,
            stderr=stderr,
            stream=True,
            follow=parsed["follow"],
            timestamps=parsed["timestamps"],
            tail=int(tail) if tail.isdecimal() else "all",
            since=since,
            until=until,
        )
        assert not isinstance(stream, bytes)  # stream=True
        for data in stream:
            write_all(fd, data)

    if found["Config"]["Tty"] or _same_file(1, 2):
        copy(1, True, True)
    else:
        _both(copy)
    return 0


def _both(copy: Callable[[int, bool, bool], None]) -> None:
    """Each stream in a thread of its own: this one waits for their ends, and may be interrupted.

    The first failure is ours at once: the other stream may be silent for ever.
    """
    from queue import SimpleQueue
    from threading import Thread

    ends: SimpleQueue[BaseException | None] = SimpleQueue()

    def run(fd: int, stdout: bool, stderr: bool) -> None:
        try:
            copy(fd, stdout, stderr)
        except BaseException as error:  # noqa: BLE001 — carried over to the main thread, which raises it
            ends.put(error)
        else:
            ends.put(None)

    for which in ((1, True, False), (2, False, True)):
        Thread(target=run, args=which, daemon=True).start()
    for _ in range(2):
        if error := ends.get():
            raise error


def _same_file(one: int, other: int) -> bool:
    try:
        a, b = os.fstat(one), os.fstat(other)
    except OSError:
        return False
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


COMMAND = Command(
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    do,
    (
        boolean("follow", "f", "Follow log output"),
        string("since", help='Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'),
        string("tail", "n", "Number of lines to show from the end of the logs", default="all"),
        boolean("timestamps", "t", "Show timestamps"),
        string(
            "until", help='Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'
        ),
    ),
    least=1,
    most=1,
    aliases=("container logs", "logs"),
)

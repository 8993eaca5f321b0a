"""``minidock stats``: what containers use of the machine, once or as a screen that is drawn anew each second.

::

    --no-stream      a sample ── 0.1 s ── a sample ── table            docker waits for two of its samples, two seconds
    else             a sample ── 0.1 s ── a sample ── table ── 1 s ── a sample ── table ── …

The answer of --no-stream is the window and a start of Python: so until the first sample nothing is imported that is not needed
to take it, and what prints is imported while the window runs.

From the second sample on they come from a stream for each container. All streams are read by this one thread, in turn: each
waits for its own second to be over, so that a round takes one second however many there are.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.format import FORMAT_HELP
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, boolean, string
from minidock.cli.streams import complain, flush, write

if TYPE_CHECKING:
    from minidock.client.api import APIClient

TABLE = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"
HEADERS = {
    "Container": "CONTAINER",
    "Name": "NAME",
    "ID": "CONTAINER ID",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
SHORT_ID = 12
WINDOW = 0.1  # seconds between the two samples of the first table
INTERVAL = 1.0  # seconds between two looks at which containers there are, when there are none
LOOK_EVERY = 3.0  # seconds between two looks for new ones, when there are some: a look costs as much as a sample of each
HOME, END_OF_LINE, END_OF_SCREEN = "\033[H", "\033[K", "\033[J"


class Meter:
    """One container, asked for as `ref`: its latest sample and the one before, from which its figures are made."""

    def __init__(self, api: APIClient, ref: str) -> None:
        self.ref = ref
        self.gone = False
        self._api = api
        self._before: dict[str, Any] | None = None
        self._stream: Iterator[dict[str, Any]] | None = None
        self.sample: dict[str, Any] = self._once()

    def _once(self) -> dict[str, Any]:
        return dict(self._api.stats(self.ref, stream=False, one_shot=True))

    def advance(self, *, stream: bool) -> None:
        """One more sample: now, or the stream's next one (at once the first time, then at the end of a second)."""
        try:
            sample = next(self._samples()) if stream else self._once()
        except StopIteration:
            self.gone = True
        except failures.caught() as error:
            if not failures.is_missing(error):
                raise
            self.gone = True
        else:
            self._before, self.sample = self.sample, sample

    def _samples(self) -> Iterator[dict[str, Any]]:
        if self._stream is None:
            self._stream = iter(self._api.stats(self.ref, decode=True))
        return self._stream

    @property
    def runs(self) -> bool:
        """Whether there was something to measure: the time of a sample is Go's zero while the container does not run."""
        return not self.gone and not self.sample["read"].startswith("0001-")

    def row(self, truncate: bool) -> dict[str, Any]:
        """Its texts."""
        from minidock.cli.format import usage  # here, as it is not needed before the first sample

        return usage.row(self.ref, self.sample, self._before, truncate=truncate, gone=self.gone)


def do(context: Context, parsed: Parsed) -> int:
    """Print the figures of the containers named, or of all that run."""
    api, named, truncate = context.api, bool(parsed.args), not parsed["no-trunc"]
    meters = _meters(api, parsed.args or _ids(api, parsed["all"]), named)
    begin = time.monotonic()
    from minidock.cli.format.listing import Listing  # while the window runs

    table = Listing(parsed["format"], TABLE, HEADERS)
    if meters:
        _end_window(begin)
    if parsed["no-stream"]:
        for meter in meters:
            meter.advance(stream=False)
        table.write(meter.row(truncate) for meter in meters if named or not meter.gone)
        if meters:
            complain(f"(CPU % is that of the last {WINDOW * 1000:.0f} ms)")
        return 0
    looked = time.monotonic()
    while True:
        for meter in meters:
            if not meter.gone:
                meter.advance(stream=True)
        _draw(table.text(meter.row(truncate) for meter in meters))
        if named:
            if all(meter.gone for meter in meters):
                return 0
            continue
        meters = [meter for meter in meters if meter.runs or (parsed["all"] and not meter.gone)]
        if not meters:
            time.sleep(INTERVAL)
        if not meters or time.monotonic() - looked >= LOOK_EVERY:
            looked = time.monotonic()
            meters += _new(api, meters, parsed["all"])


def _ids(api: APIClient, all: bool) -> list[str]:
    return [container["Id"][:SHORT_ID] for container in api.containers(all=all, quiet=True)]


def _meters(api: APIClient, refs: list[str], named: bool) -> list[Meter]:
    """A meter for each, at the begin of its first window.

    Raises UsageError with all complaints; a container that was only found, not `named`, and is gone again is left out.
    """
    meters, problems = [], []
    for ref in dict.fromkeys(refs):
        try:
            meters.append(Meter(api, ref))
        except failures.caught() as error:
            if named or not failures.is_missing(error):
                problems.append(failures.words(error))
    if problems:
        raise UsageError("\n".join(problems), 1)
    return meters


def _new(api: APIClient, meters: list[Meter], all: bool) -> list[Meter]:
    """Meters of the containers that came since, at the end of their first window."""
    known = {meter.ref for meter in meters}
    found = _meters(api, [ref for ref in _ids(api, all) if ref not in known], named=False)
    if found:
        _end_window(time.monotonic())
    return found


def _end_window(begin: float) -> None:
    time.sleep(max(0.0, begin + WINDOW - time.monotonic()))


def _draw(text: str) -> None:
    """A new picture in the place of the old one; where there is no terminal, one below the other."""
    if sys.stdout.isatty():
        from minidock.cli.terminal import tty

        rows, columns = tty.size(sys.stdout.fileno())
        lines = [line[: columns or None] for line in text.splitlines()][: (rows or 25) - 1]
        text = HOME + "".join(line + END_OF_LINE + "\n" for line in lines) + END_OF_SCREEN
    write(text)
    flush()


COMMAND = Command(
    "[OPTIONS] [CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    do,
    (
        boolean("all", "a", "Show all containers (default shows just running)"),
        string("format", help=FORMAT_HELP),
        boolean("no-stream", help="Disable streaming stats and only pull the first result"),
        boolean("no-trunc", help="Do not truncate output"),
    ),
    aliases=("container stats", "stats"),
)

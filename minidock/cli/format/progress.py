"""Progress records (``{"stream": …}``, ``{"status": …, "id": …, "progressDetail": {…}}``, ``{"error": …}``), for people.

On a terminal bars that move (rich); else one line for each thing that was finished. Source: Engine API, "JSON progress".
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from minidock.cli.grammar.command import UsageError
from minidock.cli.streams import write


def show(records: Iterable[Mapping[str, Any]], *, quiet: bool = False) -> None:
    """Print `records` as they come. With `quiet` only what was made ("stream"). Raises UsageError for an error record."""
    if quiet or not sys.stdout.isatty():
        for record in records:
            _line(record)
    else:
        _bars(records)


def _line(record: Mapping[str, Any]) -> None:
    _check(record)
    if text := record.get("stream"):
        write(text)
    elif (status := record.get("status")) and not record.get("progressDetail"):
        write(f"{record['id']}: {status}\n" if record.get("id") else f"{status}\n")
    sys.stdout.flush()


def _bars(records: Iterable[Mapping[str, Any]]) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), transient=False) as progress:
        tasks: dict[str, Any] = {}
        for record in records:
            _check(record)
            detail, id = record.get("progressDetail") or {}, record.get("id", "")
            if detail.get("total"):
                if id not in tasks:
                    tasks[id] = progress.add_task(id, total=detail["total"])
                text = f"{id}: {record.get('status', '')}"
                progress.update(tasks[id], description=text, completed=detail.get("current", 0), total=detail["total"])
            elif said := record.get("stream") or record.get("status"):
                progress.console.print(f"{id}: {said}" if id else said.rstrip("\n"), highlight=False, markup=False)


def _check(record: Mapping[str, Any]) -> None:
    if record.get("error"):
        raise UsageError(str(record["error"]), 1)

"""Look at a running container again and again, until it ends or the time is up: the rows behind a curve.

Between two looks we wait on the container's pidfd, so that the end of a container is seen at once and not at the next look.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from typing import Any

from minidock.lab import counters
from minidock.lab.measure import Row


def watch(
    container: Any,
    *sample: str,
    seconds: float = 2.0,
    every: float = 0.02,
    until: Callable[[Row], bool] = lambda _row: False,
) -> list[Row]:
    """One row of `minidock.lab.counters` every `every` seconds, with ``t``, the seconds since the first; default: memory.

    Stops after `seconds`, with the row for which `until` holds, or when the container's first process or its cgroup is gone
    (then the last row is the last one that could be read). Raises FileNotFoundError for a container that does not run.
    """
    group = counters.group(container)
    container.reload()
    rows: list[Row] = []
    with open(os.pidfd_open(int(container.attrs["State"]["Pid"])), closefd=True) as pidfd:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                values = group.read(*(sample or ("memory",)))
            except OSError:  # gone, or (ENODEV) on its way
                break
            rows.append({"t": 0.0, **values})
            rows[-1]["t"] = (values["at_ns"] - rows[0]["at_ns"]) / 1e9
            if until(rows[-1]) or select.select([pidfd], [], [], every)[0]:
                break
    return rows

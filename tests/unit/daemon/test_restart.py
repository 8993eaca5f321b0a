"""How long a restart policy waits: docker's restartmanager, from a record's own times."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from minidock.daemon.exits.restart_wait import next_delay
from minidock.daemon.record.container import Container, State

START = "2015-03-30T09:00:00Z"


@pytest.mark.parametrize(
    ("before", "finished", "delay"),
    [
        (0, "2015-03-30T09:00:01Z", 0.1),
        (0.1, "2015-03-30T09:00:01Z", 0.2),
        (25.6, "2015-03-30T09:00:01Z", 51.2),
        (51.2, "2015-03-30T09:00:01Z", 60.0),
        (51.2, "2015-03-30T09:00:09.999Z", 60.0),
        (51.2, "2015-03-30T09:00:10Z", 0.1),
    ],
)
def test_the_wait_doubles_up_to_a_minute_and_begins_anew_after_ten_seconds(before: float, finished: str, delay: float) -> None:
    container = cast(Container, SimpleNamespace(record={"RestartDelay": before}))
    state = State("exited", run=1, exit_code=1, started_at=START, finished_at=finished)
    assert next_delay(container, state) == pytest.approx(delay)

"""What is due at an exit, a stop and a removal, looked for at that moment and not after the next clean-up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from minidock.daemon.containers import inspect, rm, start, stop, wait
from minidock.daemon.engine import Engine
from minidock.errors import Conflict


def addresses(engine: Engine, id: str) -> list[str]:
    return [row[0] for row in engine.links.execute("SELECT address FROM addresses WHERE container = ?", id)]


def eventually(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def test_an_address_is_free_when_its_container_has_ended(box: Engine, made: Any) -> None:
    """Not only when it is removed: stopped containers stay for weeks, and a class's subnet has 254 addresses."""
    id = made("sleep", "1000", host={"NetworkMode": "bridge"})
    start.start(box, id)
    assert len(addresses(box, id)) == 1
    stop.stop(box, id, 0)
    eventually(lambda: addresses(box, id) == [], "the container has ended and keeps its address")
    assert inspect.inspect(box, id)["State"]["Status"] == "exited", "it is still there"
    rm.rm(box, id)


def test_an_address_that_was_given_before_a_start_goes_with_the_container(box: Engine, made: Any) -> None:
    """As a start leaves it that is killed before there is a run."""
    id = made("true", host={"NetworkMode": "bridge"})
    box.networks.driver("bridge").allocate(id)
    assert len(addresses(box, id)) == 1
    rm.rm(box, id)
    assert addresses(box, id) == []


@pytest.mark.timeout(30)
def test_no_time_to_react(box: Engine, started: Any) -> None:
    """``stop -t 0`` of a process that ignores SIGTERM, as every pid 1 without a handler does."""
    id = started("sleep", "1000")
    stop.stop(box, id, 0)
    assert wait.wait(box, id)["StatusCode"] == 137
    rm.rm(box, id)


def test_between_two_runs_a_container_is_not_removed_without_force(box: Engine, started: Any) -> None:
    id = started("sh", "-c", "exit 1", host={"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}})
    eventually(lambda: inspect.inspect(box, id)["RestartCount"] >= 4, "no restart")  # the waits are long enough by now
    eventually(lambda: inspect.inspect(box, id)["State"]["Status"] == "restarting", "it does not wait between two runs")
    with pytest.raises(Conflict, match="You cannot remove a restarting container"):
        rm.rm(box, id)
    rm.rm(box, id, force=True)

"""Looking at a container until something happens: what `until` sees, and the end of the container, end it at once."""

from __future__ import annotations

import time
from typing import Any

import pytest

from minidock.lab.watch import watch
from tests.conftest import needs


@pytest.fixture(autouse=True)
def root() -> None:
    needs("root")


def start(client: Any, script: str) -> Any:
    return client.containers.run("busybox", ["sh", "-c", script], detach=True, network_mode="none")


def test_until_and_time(client: Any) -> None:
    container = start(client, "sleep 300")
    rows = watch(container, "memory", "pids", seconds=60, every=0.01, until=lambda r: r["t"] > 0.05)
    assert rows[0]["t"] == 0.0 and 0.05 < rows[-1]["t"] < 30
    assert [r["t"] for r in rows] == sorted(r["t"] for r in rows)
    assert all(r["memory"] > 0 and r["pids"] >= 1 for r in rows)
    assert 1 < len(watch(container, seconds=0.2, every=0.01)) < 40
    container.remove(force=True)


def test_the_end_of_the_container(client: Any) -> None:
    container = start(client, "sleep 0.3")
    since = time.monotonic()
    rows = watch(container, seconds=60, every=30)
    assert rows
    assert time.monotonic() - since < 20, "seen at once, not at the next look"
    container.remove(force=True)


def test_a_container_that_does_not_run(client: Any) -> None:
    container = client.containers.create("busybox", ["true"], network_mode="none")
    with pytest.raises(FileNotFoundError):
        watch(container)
    container.remove()

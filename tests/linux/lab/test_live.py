"""A limit moved on a running container: the kernel holds it at once, the counters follow, the widget ends cleanly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from minidock.lab import live, workspace
from minidock.lab.experiment import Experiment, Load
from minidock.lab.live import CPU, MEMORY, Follower
from tests.conftest import needs

pytestmark = pytest.mark.usefixtures("build")
ONE = Experiment("live", [Load("a")], settle=0.05)


@pytest.fixture(autouse=True)
def root() -> None:
    needs("root")


@pytest.mark.measuring
def test_quota_is_moved_and_the_use_follows(client: Any) -> None:
    rows = live.moved(ONE, CPU, (0.8, 0.1), seconds=0.6, every=0.1, engine=client)
    held = {row["asked"]: row["quota_us"] / row["period_us"] for row in rows}
    assert held == {0.8: 0.8, 0.1: 0.1}
    used = {v: sum(r["cpu_ns"] for r in rows if r["asked"] == v) for v in held}
    assert used[0.1] < 0.6 * used[0.8]
    assert "limit 0.8; limit 0.1" in repr(live.picture(rows, CPU, "It follows"))
    assert client.containers.list(all=True) == []


def test_memory_is_moved(client: Any) -> None:
    rows = live.moved(ONE, MEMORY, (32, 16, 24), seconds=0.1, engine=client)
    assert [r["memory_limit"] >> 20 for r in rows] == [32, 16, 24]
    assert all(r["memsw_limit"] == 2 * r["memory_limit"] for r in rows)


def test_headless_shows_the_static_figure_and_leaves_no_container(
    client: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(workspace.HEADLESS, "1")
    rows = live.follow(ONE, CPU, (0.5, 0.25), title="It follows", seconds=0.2, engine=client)
    assert len(rows) == 4 and "It follows" in capsys.readouterr().out
    assert client.containers.list(all=True) == []


def test_the_widget_moves_the_limit_and_its_button_ends_it(client: Any) -> None:
    async def scenario(follower: Follower) -> None:
        (slider, button, _said), image = (part := follower.widget().children)[0].children, part[1]
        await until(lambda: bytes(image.value).startswith(b"\x89PNG"))
        slider.value = 0.25
        await until(lambda: follower.rows[-1]["quota_us"] == 25_000)
        button.click()
        await until(lambda: button.disabled)
        assert follower.ended and client.containers.list(all=True) == []

    ended_by(scenario, Follower(ONE, CPU, (0.5, 0.25), client, minutes=1))


def test_its_time_is_limited(client: Any) -> None:
    async def scenario(follower: Follower) -> None:
        button = follower.widget().children[0].children[1]
        await until(lambda: button.disabled)
        assert client.containers.list(all=True) == []

    ended_by(scenario, Follower(ONE, CPU, (0.5,), client, minutes=0))


def ended_by(scenario: Callable[[Follower], Coroutine[Any, Any, None]], follower: Follower) -> None:
    """Run the scenario in an event loop, as a notebook has one; whatever it does, the follower is stopped."""
    try:
        asyncio.run(scenario(follower))
    finally:
        follower.stop()


def test_a_refused_start_leaves_nothing(client: Any) -> None:
    with pytest.raises(Exception, match="No such image"):
        Follower(Experiment("x", [Load("a", image="nowhere")]), CPU, (0.5,), client, 1).start()
    assert client.containers.list(all=True) == []


async def until(holds: Any) -> None:
    """Let the event loop run until the condition holds; TimeoutError after ten seconds."""
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)

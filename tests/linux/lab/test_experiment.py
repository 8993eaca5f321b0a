"""Experiments on real containers: what each limit does is seen in the kernel's counters, and without the limit it is not.

A busy machine may spoil a number, not a direction: each test asserts what the run without the limit cannot reach, and that
this run, judged by the same promise, fails.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minidock.errors import APIError
from minidock.lab import counters, facts, measure, scenarios
from minidock.lab.experiment import BURN, Experiment, Goal, Load, Result, judge, run, running
from minidock.lab.verdicts import FAIL, INCONCLUSIVE, Promise
from tests.conftest import needs

pytestmark = pytest.mark.usefixtures("build")
MiB = 1 << 20


@pytest.fixture(autouse=True)
def root() -> None:
    needs("root")


def both(client: Any, wanted: Experiment, **budget: Any) -> tuple[Result, Result]:
    """The experiment judged, and its control judged by the same promise."""
    budget = {"at_least": 3, **budget}
    limited = judge(wanted, engine=client, progress=False, **budget)
    control = judge(wanted.without_limits(), engine=client, promise=limited.promise, progress=False, **budget)
    return limited, control


@pytest.mark.measuring
def test_shares_on_one_core(client: Any) -> None:
    limited, control = both(client, replace(scenarios.shares_on_one_core(1000, 250), seconds=0.4), seconds=4)
    assert limited.verdict.outcome != FAIL, limited.verdict.detail()
    assert control.verdict.outcome == FAIL, control.verdict.detail()
    assert min(limited.samples) > max(control.samples)


@pytest.mark.measuring
def test_quota(client: Any) -> None:
    """The chapter on quotas: the limit holds, the control fails, and the kernel's throttle counter agrees."""
    limited, control = both(client, replace(scenarios.quota(0.05), seconds=0.4), seconds=3)
    assert limited.verdict.outcome != FAIL, limited.verdict.detail()
    assert control.verdict.outcome == FAIL, control.verdict.detail()
    assert max(limited.samples) < min(control.samples)
    assert sum(row["throttled"] for row in limited.rows) > len(limited.rows)
    assert not any(row["throttled"] for row in control.rows)


@pytest.mark.measuring
def test_pinned(client: Any) -> None:
    """The chapter on cpusets: work stays on its core, and it is said what counted it."""
    limited, control = both(client, replace(scenarios.pinned(0, processes=4), seconds=0.3), seconds=3)
    assert limited.verdict, limited.verdict.detail()
    source = "cpuacct.usage_percpu" if facts.cgroup_version() == 1 else "processor field"
    assert all(row["percpu_source"].startswith(source) for row in limited.rows), "it is said what counted"
    if (os.cpu_count() or 1) > 1:
        assert control.verdict.outcome == FAIL, control.verdict.detail()


@pytest.mark.measuring
def test_few_shares_alone_leave_nothing_idle(client: Any) -> None:
    wanted = replace(scenarios.alone(50), seconds=0.3)
    result = judge(wanted, engine=client, progress=False, at_least=3, seconds=3)
    assert statistics.median(result.samples) > 0.8, result.verdict.detail()
    held_back = replace(wanted, loads=[replace(wanted.loads[0], limits={"cpu_quota": 5_000})])
    control = judge(held_back, engine=client, progress=False, promise=result.promise, at_least=3, seconds=3)
    assert control.verdict.outcome == FAIL, "a quota of a 20th leaves the core idle"


def test_rounds_that_tell_nothing_are_no_failure(client: Any) -> None:
    """A goal whose rounds never count is INCONCLUSIVE, whatever its numbers say; they are in the rows all the same."""
    goal = Goal(lambda _rows: 1.0, lambda _rows: Promise("two", 1.9, 2.1), counts=lambda _rows: False)
    wanted = Experiment("untold", [Load("a")], seconds=0.02, settle=0, goal=goal)
    result = judge(wanted, engine=client, progress=False, seconds=0.3)
    assert result.verdict.outcome == INCONCLUSIVE and len(result.rows) > 1
    told = judge(replace(wanted, goal=replace(goal, counts=lambda _rows: True)), engine=client, progress=False)
    assert told.verdict.outcome == FAIL


def test_memory_to_the_page(client: Any) -> None:
    hog = scenarios.at_once(24 * MiB, outlive=True)
    wanted = scenarios.memory(16 * MiB, swap=16 * MiB, command=hog, seconds=0.6, every=0.2)
    limited, control = both(client, wanted, at_least=2, at_most=4)
    assert limited.verdict, limited.verdict.detail()
    assert control.verdict.outcome == FAIL, control.verdict.detail()
    assert limited.rows[0]["memsw_limit"] == limited.rows[0]["memory_limit"] == 16 * MiB
    assert max(row.get("memory", 0) for row in limited.rows) <= 16 * MiB
    kills = [sum(row.get("oom_kills", 0) for row in run.rows) for run in (limited, control)]
    assert kills[0] >= 1 and kills[1] == 0


def test_out_of_memory_ends_the_container(client: Any) -> None:
    hog = scenarios.at_once(24 * MiB)
    wanted = scenarios.memory(16 * MiB, swap=16 * MiB, command=hog, seconds=0.6, every=0.2)
    rows = run(wanted, engine=client, progress=False)
    assert (rows[-1]["ended"], rows[-1]["exit_code"], rows[-1]["oom_killed"]) == (True, 137, True)
    control = run(wanted.without_limits(), engine=client, progress=False)
    assert not any(row.get("ended") for row in control) and len(control) == wanted.windows


def test_direct_writes_are_throttled(client: Any, tmp_path: Path) -> None:
    wanted = replace(scenarios.disk(tmp_path, write_bps=2 * MiB, size=8 * MiB), seconds=0.5, settle=0.2)
    limited, control = both(client, wanted, at_least=2, at_most=4)
    assert limited.verdict.outcome != FAIL, limited.verdict.detail()
    assert control.verdict.outcome == FAIL, control.verdict.detail()
    assert max(limited.samples) < min(control.samples)


def test_rows_are_tidy_and_saved(client: Any, build: Path) -> None:
    wanted = Experiment("tidy", [Load("a"), Load("b", ("sleep", "60"))], ("cpu", "pids"), seconds=0.05, rounds=2, windows=3)
    rows = run(wanted, engine=client, progress=False)
    assert [(r["round"], r["window"], r["load"]) for r in rows] == [
        (i, w, load) for i in (0, 1) for w in (0, 1, 2) for load in ("a", "b")
    ]
    times = [r["t"] for r in rows if r["load"] == "a"]
    assert times == sorted(times) and all(r["seconds"] > 0.04 for r in rows)
    assert {r["engine"] for r in rows} == {"minidock"} and all(r["pids"] >= 1 for r in rows)
    assert measure.median(rows, "cores", load="a") > measure.median(rows, "cores", load="b")
    saved = json.loads((build / "measurements" / "tidy.json").read_text())
    assert saved["rows"] == json.loads(json.dumps(rows))
    assert saved["system"]["kernel"] and saved["about"]["loads"][0]["name"] == "a"


def test_a_load_that_ends_says_how(client: Any) -> None:
    wanted = Experiment("ends", [Load("a", ("sh", "-c", "exit 7")), Load("b")], seconds=0.05, rounds=2, windows=2)
    rows = run(wanted, engine=client, progress=False)
    (end,) = [r for r in rows if r.get("ended")]
    assert (end["load"], end["exit_code"], end["oom_killed"]) == ("a", 7, False)
    assert len([r for r in rows if r["load"] == "b"]) == 4, "the other goes on"


def test_fresh_rounds_have_fresh_containers(client: Any) -> None:
    seen = []
    with running(Experiment("fresh", [Load("a")], seconds=0.02, settle=0, fresh=True), engine=client) as bench:
        for _ in range(2):
            bench.round()
            seen.append(bench.containers["a"].id)
    assert len(set(seen)) == 2


def fails() -> None:
    raise ValueError("in the middle")


def interrupted() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("fault", [fails, interrupted])
def test_whatever_happens_nothing_stays(client: Any, fault: Callable[[], None]) -> None:
    with pytest.raises((ValueError, KeyboardInterrupt)):
        with running(Experiment("broken", [Load("a"), Load("b")], seconds=0.02), engine=client) as bench:
            bench.round()
            fault()
    assert client.containers.list(all=True) == []


def test_a_limit_that_is_refused_leaves_nothing(client: Any) -> None:
    refused = Experiment("refused", [Load("a"), Load("b", BURN, {"mem_limit": 4096})])
    with pytest.raises(APIError):
        run(refused, engine=client, progress=False)
    assert client.containers.list(all=True) == []


def test_what_a_killed_kernel_left_is_taken_away(client: Any) -> None:
    """Its label names a process that is no more; a container of a living one stays."""
    from minidock.lab.engines import OWNER

    dead = client.containers.run("busybox", ["sleep", "60"], detach=True, network_mode="none", labels={OWNER: "4194305"})
    with running(Experiment("next", [Load("a")], settle=0), engine=client) as bench:
        bench.start()
        assert [c.id for c in client.containers.list(all=True)] == [bench.containers["a"].id] != [dead.id]


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ValueError, match="no such engine"):
        run(Experiment("x", [Load("a")]), engine="podman")
    with pytest.raises(ValueError, match="no goal"):
        judge(Experiment("x", [Load("a")]))


def test_counters_are_found_and_read_at_once(client: Any) -> None:
    container = client.containers.run("busybox", ["sleep", "60"], detach=True, network_mode="none", cpu_shares=77)
    try:
        group = counters.group(container)
        assert counters.counters(container)["pids"] == 1 == len(group.pids())
        assert group.held()["weight"] == (77 if group.version == 1 else 14)
    finally:
        container.remove(force=True)
    with pytest.raises(FileNotFoundError):
        group.read()

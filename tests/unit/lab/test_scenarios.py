"""The ready experiments are data: what they ask for, and what their goals say of rows as they were recorded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from minidock.lab import scenarios
from minidock.lab.experiment import Experiment, Load
from minidock.lab.verdicts import FAIL, PASS, Promise, decide

Row = dict[str, Any]


def judged(experiment: Experiment, rounds: list[list[Row]], promise: Promise | None = None) -> str:
    assert experiment.goal is not None
    promise = promise or experiment.goal.promise(rounds[0])
    return decide([experiment.goal.quantity(rows) for rows in rounds], promise)


def shared(
    first: int, second: int, weights: tuple[int, int] = (1000, 500), names: tuple[str, str] = ("1000", "500")
) -> list[Row]:
    used = (first, second)
    return [{"load": n, "cpu_ns": u, "weight": w} for n, u, w in zip(names, used, weights, strict=True)]


def test_shares_are_judged_by_the_weights_that_the_kernel_holds() -> None:
    experiment = scenarios.shares_on_one_core(1000, 500)
    assert [load.limits for load in experiment.loads] == [{"cpu_shares": 1000}, {"cpu_shares": 500}]
    good = [shared(332, 167), shared(334, 166), shared(331, 166), shared(333, 168)]
    equal = [shared(250, 251), shared(249, 250), shared(251, 250), shared(250, 249)]
    assert judged(experiment, good) == PASS
    assert judged(experiment, equal) == FAIL
    # On v2 the same shares are the weights 99 and 58, and the expected ratio another.
    v2 = [[{**row, "weight": w} for row, w in zip(rows, (99, 58), strict=True)] for rows in good]
    assert judged(experiment, v2) == FAIL


def test_control_keeps_the_set_up_and_drops_the_limits() -> None:
    experiment = scenarios.shares_on_one_core(1000, 500, core=1)
    control = experiment.without_limits()
    assert [load.limits for load in control.loads] == [{}, {}]
    assert [load.fixed for load in control.loads] == [{"cpuset_cpus": "1"}] * 2
    assert control.name != experiment.name


def test_equal_contenders_have_names_of_their_own() -> None:
    experiment = scenarios.shares_on_one_core(None, None)
    assert [load.name for load in experiment.loads] == ["none a", "none b"]
    rows = shared(100, 108, (1024, 1024), ("none a", "none b"))
    assert judged(experiment, [rows] * 4) == PASS, "1.0 ± 0.1"
    assert judged(experiment, [shared(100, 85, (1024, 1024), ("none a", "none b"))] * 4) == FAIL


def test_alone_takes_what_nobody_else_takes() -> None:
    experiment = scenarios.alone(50, core=1)
    assert judged(experiment, [[{"cpu_ns": used, "idle_ns": [900, 1]}] for used in (99, 300, 250, 99)]) == PASS
    assert judged(experiment, [[{"cpu_ns": 50, "idle_ns": [0, idle]}] for idle in (50, 51, 50, 49)]) == FAIL


def test_pinned_is_a_share_of_time() -> None:
    experiment = scenarios.pinned(1)
    assert judged(experiment, [[{"percpu_ns": [1, 999]}]] * 4) == PASS
    assert judged(experiment, [[{"percpu_ns": [500, 500]}]] * 4) == FAIL


def test_quota_takes_whole_periods() -> None:
    experiment = scenarios.quota(0.25, period_us=30_000)
    assert experiment.seconds == pytest.approx(34 * 0.03)
    assert experiment.loads[0].limits == {"cpu_period": 30_000, "cpu_quota": 7_500}
    held = {"load": "quota", "quota_us": 7_500, "period_us": 30_000}
    assert judged(experiment, [[{**held, "cores": c}] for c in (0.25, 0.251, 0.25, 0.252)]) == PASS
    assert judged(experiment, [[{**held, "cores": c}] for c in (0.99, 0.98, 0.99, 1.0)]) == FAIL


def test_a_starved_round_says_nothing_of_a_quota() -> None:
    goal = scenarios.quota(0.5).goal
    assert goal is not None
    row = {"quota_us": 50_000, "period_us": 100_000, "periods": 10}
    assert goal.counts([{**row, "throttled": 9}]) and not goal.counts([{**row, "throttled": 4}])
    assert goal.counts([{**row, "quota_us": None, "throttled": 0}]), "the control always counts"
    assert not goal.counts([{"ended": True, "exit_code": 1}]) and not goal.counts([])


def test_a_round_that_never_met_the_limit_says_nothing_of_it() -> None:
    goal = scenarios.memory(32 << 20).goal
    assert goal is not None
    assert not goal.counts([{"memory_limit": 32 << 20, "failcnt": 0, "oom_kills": 0}])
    assert goal.counts([{"memory_limit": 32 << 20, "failcnt": 0}, {"failcnt": 2}])
    assert goal.counts([{"memory_limit": None}])
    assert not goal.counts([{"ended": True}]), "it ended before it could be read"


def test_memory_is_judged_to_the_page() -> None:
    page, limit = scenarios.PAGE, 32 << 20
    experiment = scenarios.memory(limit, swap=limit)
    assert experiment.loads[0].limits == {"mem_limit": limit, "memswap_limit": limit}
    end = {"ended": True, "exit_code": 137, "oom_killed": True}
    exact = [{"memory_peak": limit - page, "memory_limit": limit}, {"memory_peak": limit, "memory_limit": limit}, end]
    assert judged(experiment, [exact] * 4) == PASS
    more = [{"memory_peak": limit + page, "memory_limit": limit}]
    assert judged(experiment, [more] * 4) == FAIL


def test_disk_wants_one_limit_of_a_real_disk(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        scenarios.disk(tmp_path)
    with pytest.raises(ValueError, match="exactly one"):
        scenarios.disk(tmp_path, write_bps=1, read_bps=1)


def test_disk_is_judged_by_what_the_throttle_holds(tmp_path: Path) -> None:
    node = next(Path("/dev").glob("loop[0-9]*"), None) or Path("/dev/null")
    number = f"{os.major(node.stat().st_rdev)}:{os.minor(node.stat().st_rdev)}"
    experiment = scenarios.disk(tmp_path, write_bps=1 << 20, device=str(node))
    assert experiment.loads[0].limits == {"device_write_bps": [{"Path": str(node), "Rate": 1 << 20}]}
    held = {"throttle": {f"{number} wbps": 1 << 20}, "seconds": 1.0}
    assert judged(experiment, [[{**held, "write_bytes": int(n * (1 << 20))}] for n in (1.0, 1.01, 0.99, 1.0)]) == PASS
    assert judged(experiment, [[{**held, "write_bytes": int(n * (1 << 20))}] for n in (9.0, 8.0, 9.0, 8.0)]) == FAIL
    assert "oflag=direct" in experiment.loads[0].command[2]
    assert "oflag=direct" not in scenarios.disk(tmp_path, write_bps=1, device=str(node), direct=False).loads[0].command[2]


def test_burners_and_hogs_are_plain_shell() -> None:
    assert scenarios.burners(1)[:2] == scenarios.burners(3)[:2] == ("sh", "-c")
    assert "seq 2" in scenarios.burners(3)[2]
    assert "seq 8" in scenarios.grow(32 << 20, step=4 << 20)[2]
    assert "bs=33554432" in scenarios.at_once(32 << 20)[2]


def test_a_load_is_small_data() -> None:
    load = Load("a")
    assert (load.image, dict(load.limits), dict(load.fixed)) == ("busybox", {}, {})


def test_what_the_kernel_holds_counts_and_not_what_was_asked_for() -> None:
    """The two differ when a parent's ceiling, a rounding or a fault is between: then the flag proves nothing."""
    quota = scenarios.quota(0.5)
    other = {"load": "quota", "quota_us": 25_000, "period_us": 100_000}
    assert judged(quota, [[{**other, "cores": c}] for c in (0.25, 0.251, 0.25, 0.252)]) == PASS
    assert judged(quota, [[{**other, "cores": c}] for c in (0.5, 0.501, 0.5, 0.502)]) == FAIL
    page, asked = scenarios.PAGE, 32 << 20
    held = asked - 512 * page
    memory = scenarios.memory(asked)
    assert judged(memory, [[{"memory_peak": held, "memory_limit": held}]] * 4) == PASS
    assert judged(memory, [[{"memory_peak": asked, "memory_limit": held}]] * 4) == FAIL


def test_a_disk_is_judged_by_what_its_throttle_holds_too(tmp_path: Path) -> None:
    experiment = scenarios.disk(tmp_path, write_bps=1 << 20, device="/dev/null")
    rows = {"throttle": {"1:3 wbps": 1 << 19}, "seconds": 1.0}
    assert judged(experiment, [[{**rows, "write_bytes": int(n * (1 << 19))}] for n in (1.0, 1.01, 0.99, 1.0)]) == PASS
    assert judged(experiment, [[{**rows, "write_bytes": int(n * (1 << 20))}] for n in (1.0, 1.01, 0.99, 1.0)]) == FAIL

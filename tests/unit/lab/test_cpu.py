"""Chapter 08's goals on recorded rows: kept by a run with the limit, not by one without."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.lab import cpu
from minidock.lab.verdicts import FAIL, PASS, decide

# Two containers on one core of a two-core VM, half-second windows: CPU time in ms, one pair a round.
LIMITED = [(333.1, 167.0), (334.2, 165.9), (332.8, 167.3), (333.6, 166.5)]
BARE = [(250.4, 249.7), (249.1, 251.0), (250.9, 249.2), (249.8, 250.3)]


def rounds(pairs: list[tuple[float, float]], weights: tuple[int, int]) -> list[list[dict[str, Any]]]:
    return [
        [
            {"load": name, "cpu_ns": ms * 1e6, "weight": weight}
            for name, ms, weight in zip(("A", "B"), pair, weights, strict=True)
        ]
        for pair in pairs
    ]


def outcome(goal: Any, taken: list[list[dict[str, Any]]], promise: Any = None) -> str:
    return decide([goal.quantity(rows) for rows in taken], promise or goal.promise(taken[0]))


def test_ratio_is_judged_by_what_the_kernel_held() -> None:
    goal = cpu.as_weights("A", "B", "as the weights")
    limited, bare = rounds(LIMITED, (1000, 500)), rounds(BARE, (1024, 1024))
    assert outcome(goal, limited) == PASS
    assert outcome(goal, bare) == PASS, "1:1 was held, and 1:1 it was"
    assert outcome(goal, bare, goal.promise(limited[0])) == FAIL, "the control is judged by the limited run's promise"
    assert outcome(goal, rounds(LIMITED, (99, 58))) == FAIL, "v2 holds 1.71 to 1 for the same flags"


def test_equal() -> None:
    goal = cpu.equal("A", "B", "1.0 ± 0.1")
    assert outcome(goal, rounds(BARE, (1024, 1024))) == PASS
    assert outcome(goal, rounds(LIMITED, (1000, 500))) == FAIL


def test_quota() -> None:
    goal = cpu.as_quota("slow", "as the quota")
    held = {"load": "slow", "quota_us": 50_000, "period_us": 100_000}
    assert outcome(goal, [[{**held, "cores": c}] for c in (0.501, 0.499, 0.502, 0.5)]) == PASS
    assert outcome(goal, [[{**held, "cores": c}] for c in (0.97, 0.99, 1.0, 0.98)]) == FAIL


def test_on_core() -> None:
    goal = cpu.on_core(1, "on core 1")
    assert goal.quantity([{"percpu_ns": [1, 999]}, {"percpu_ns": [3, 997]}]) == pytest.approx(0.998)
    pinned = [[{"percpu_ns": [i, 500_000_000]}] for i in (0, 40_000, 0, 10_000)]
    assert outcome(goal, pinned) == PASS
    assert outcome(goal, [[{"percpu_ns": [250 + i, 250 - i]}] for i in (0, 9, -7, 3)]) == FAIL
    assert outcome(cpu.on_core(0, "on core 0"), pinned) == FAIL, "the named core, not any core"


def test_fair_knows_who_shares_with_whom() -> None:
    weights = {"a": 1000, "b": 500, "c": 10}
    assert cpu.fair(weights, {"a": 0, "b": 0, "c": 1}) == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 3), "c": 1.0}
    assert cpu.fair(weights, {"a": 0, "b": 1, "c": 0})["b"] == 1.0


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(2, 262144), st.integers(0, 2)), min_size=1))
def test_every_core_is_given_out_whole(loads: dict[str, tuple[int, int]]) -> None:
    shares = cpu.fair({n: w for n, (w, _) in loads.items()}, {n: c for n, (_, c) in loads.items()})
    for core in {c for _, c in loads.values()}:
        assert sum(s for n, s in shares.items() if loads[n][1] == core) == pytest.approx(1)


def test_idle_is_read_for_one_core() -> None:
    before = cpu.idle_ns(cpu.cores()[0])
    assert before > 0 and cpu.idle_ns(cpu.cores()[0]) >= before
    with pytest.raises(ValueError):
        cpu.idle_ns(100_000)


def test_burners_ends_with_its_processes() -> None:
    shell, flag, script = cpu.burners(3)
    assert (shell, flag) == ("sh", "-c")
    assert script.count("seq 3") == 1 and script.endswith("wait"), "pid 1 stays, so that the container does"

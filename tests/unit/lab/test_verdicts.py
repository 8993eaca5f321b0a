"""The verdict's own code, on recorded samples: what it says must not depend on today's noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.lab import verdicts
from minidock.lab.verdicts import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    Promise,
    decide,
    interval,
    judge,
    judge_all,
    judge_samples,
)

# cpu.shares 1000:500 on one core of a two-core VM: the ratio of the CPU time of the two, second by second.
RATIOS = (1.99, 2.01, 1.98, 2.0, 2.01, 1.99, 2.0, 2.01)
# The same without the limit.
EQUAL = (1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99)
# The same while somebody else used the core.
NOISY = (1.5, 2.6, 1.2, 2.9, 2.2, 1.6, 2.4, 1.7)
TWO = Promise.near("2:1 within 5 %", 2.0, 0.05)


@pytest.fixture(autouse=True)
def no_verdicts_from_elsewhere() -> Iterator[None]:
    verdicts._results.clear()
    yield
    verdicts._results.clear()


def test_recorded_samples() -> None:
    """Recorded measurements get the verdict that a careful reader gives them."""
    assert decide(RATIOS, TWO) == PASS
    assert decide(EQUAL, TWO) == FAIL
    assert decide(NOISY, TWO) == INCONCLUSIVE


def test_line_is_stable_and_numbers_are_apart() -> None:
    verdict = judge_samples(TWO, RATIOS)
    assert str(verdict) == repr(verdict) == "2:1 within 5 %: PASS"
    assert "8 rounds" in verdict.detail()
    assert bool(verdict) and not judge_samples(TWO, EQUAL) and not judge_samples(TWO, NOISY)


def test_one_sided_promises() -> None:
    assert decide((3.0, 3.1, 2.9, 3.0), Promise("at most 5", high=5)) == PASS
    assert decide((3.0, 3.1, 2.9, 3.0), Promise("at least 5", low=5)) == FAIL
    assert "at most 5" in judge_samples(Promise("x", high=5), RATIOS).detail()
    assert "at least 1" in judge_samples(Promise("x", low=1), RATIOS).detail()


def test_interval_is_students() -> None:
    low, high = interval((1.0, 2.0, 3.0, 4.0))
    assert (low + high) / 2 == pytest.approx(2.5)
    assert high - 2.5 == pytest.approx(5.841 * statistics.stdev((1, 2, 3, 4)) / 2)
    assert interval((7.0,)) == (-math.inf, math.inf)
    with pytest.raises(ValueError):
        interval(())


def test_one_sample_proves_nothing() -> None:
    assert decide((2.0,), TWO) == INCONCLUSIVE


class Recorded:
    """Gives recorded samples one by one, then repeats the last; counts."""

    def __init__(self, samples: tuple[float, ...]) -> None:
        self.samples, self.taken = samples, 0

    def __call__(self) -> float:
        self.taken += 1
        return self.samples[min(self.taken, len(self.samples)) - 1]


def test_rounds_are_added_until_the_interval_is_clear() -> None:
    source = Recorded((1.8, 2.2, 1.9, 2.1, *(2.0,) * 40))
    verdict = judge(TWO, source, at_least=4, at_most=60)
    assert verdict.outcome == PASS
    assert 4 < source.taken < 44
    assert verdict.samples == source.samples[: source.taken]


def test_clear_samples_cost_no_extra_round() -> None:
    source = Recorded(RATIOS)
    assert judge(TWO, source, at_least=4).outcome == PASS
    assert source.taken == 4


def test_budget_of_rounds() -> None:
    source = Recorded(NOISY * 3)
    assert judge(TWO, source, at_most=12).outcome == INCONCLUSIVE
    assert source.taken == 12


def test_budget_of_seconds() -> None:
    clock = iter(range(1000))
    source = Recorded(NOISY * 9)
    assert judge(TWO, source, at_most=1000, seconds=5, now=lambda: float(next(clock))).outcome == INCONCLUSIVE
    assert source.taken < 12


def test_several_promises_on_the_same_rounds() -> None:
    clear, noisy = Recorded(RATIOS), Recorded((1.8, 2.2, 1.9, 2.1, *(2.0,) * 40))
    found = judge_all({"clear": TWO, "noisy": TWO}, lambda: {"clear": clear(), "noisy": noisy()})
    assert {name: v.outcome for name, v in found.items()} == {"clear": PASS, "noisy": PASS}
    assert 4 < clear.taken == noisy.taken < 40, "rounds go on until the last is clear"
    assert found["clear"].samples[:8] == RATIOS
    mixed = judge_all({"kept": TWO, "broken": TWO}, lambda: {"kept": 2.0, "broken": 1.0})
    assert [v.outcome for v in mixed.values()] == [PASS, FAIL]
    spent = judge_all({"never": TWO}, iter([{"never": v} for v in NOISY * 3]).__next__, at_most=10)
    assert spent["never"].outcome == INCONCLUSIVE and len(spent["never"].samples) == 10
    assert [v.promise for v in verdicts.failed()] == [TWO], "a broken promise is remembered"


def test_failed_are_remembered() -> None:
    judge_samples(TWO, EQUAL)
    judge_samples(TWO, RATIOS)
    assert verdicts.fact("the sky is green", False) == "the sky is green: FAIL"
    assert verdicts.fact("the sky is blue", True) == "the sky is blue: PASS"
    assert [v.promise.text for v in verdicts.failed()] == ["2:1 within 5 %", "the sky is green"]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_never_pass_and_fail_for_the_same_samples(samples: list[float]) -> None:
    """What lies inside a promise cannot lie outside it; widening a promise never turns PASS into anything else."""
    middle = statistics.mean(samples)
    narrow, wide = Promise("", middle - 1, middle + 1), Promise("", middle - 10, middle + 10)
    if decide(samples, narrow) == PASS:
        assert decide(samples, wide) == PASS
    low, high = interval(samples)
    assert low <= high
    assert decide(samples, Promise("", low=high + 1 + abs(high))) == FAIL

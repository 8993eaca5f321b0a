"""What chapter 08 reads of the CPU, and who meets whom on a core."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.lab import cpu


def test_fair_knows_who_shares_with_whom() -> None:
    weights = {"a": 1000, "b": 500, "c": 10}
    assert cpu.fair(weights, {"a": 0, "b": 0, "c": 1}) == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 3), "c": 1.0}
    assert cpu.fair(weights, {"a": 0, "b": 1, "c": 0})["b"] == 1.0


@given(st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(2, 262144), st.integers(0, 2)), min_size=1))
def test_every_core_is_given_out_whole(loads: dict[str, tuple[int, int]]) -> None:
    shares = cpu.fair({n: w for n, (w, _) in loads.items()}, {n: c for n, (_, c) in loads.items()})
    for core in {c for _, c in loads.values()}:
        assert sum(s for n, s in shares.items() if loads[n][1] == core) == pytest.approx(1)

"""PASS, FAIL or INCONCLUSIVE, from an interval and never from one number.

One sample of a noisy machine proves nothing in either direction, and a tolerance wide enough for the worst moment promises
nothing. So samples are added, one round after the other, and after each the interval that holds the true mean with 99 %
confidence is compared with what was promised::

                 low        expected        high
        ───────────┤═════════════┼═════════════├──────────
    PASS             ├────·────┤                            the interval lies inside the promise
    FAIL                                         ├──·──┤    …lies outside it
    go on      ├───────·────────┤                           …lies across an edge: one more round
    INCONCLUSIVE                                            …and the budget is spent: said, with the steal time seen

More noise costs more rounds and, in the end, an honest "INCONCLUSIVE"; it never becomes a sleep or a wider tolerance. The
expected value comes from the caller, who computes it from what the kernel holds (``cpu.shares`` read back), not from the
flag that was asked for.

The interval is Student's: mean ± t·s/√n. 99 % rather than 95 %, because every added round is one more look at the data.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from minidock.lab import facts

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"

# The two-sided 99 % quantiles of Student's t for 1…30 degrees of freedom; beyond 30 the normal quantile is near enough.
_T99 = (
    63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169,
    3.106, 3.055, 3.012, 2.977, 2.947, 2.921, 2.898, 2.878, 2.861, 2.845,
    2.831, 2.819, 2.807, 2.797, 2.787, 2.779, 2.771, 2.763, 2.756, 2.750,
)  # fmt: skip
_Z99 = 2.576

_results: list[Verdict] = []


@dataclass(frozen=True)
class Promise:
    """What was promised: the value lies in [low, high]. `text` is how a reader says it ("2:1 within 5 %")."""

    text: str
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def near(cls, text: str, expected: float, tolerance: float) -> Promise:
        """`expected` within `tolerance`, a share (0.05 is five per cent)."""
        margin = abs(expected) * tolerance
        return cls(text, expected - margin, expected + margin)


@dataclass(frozen=True, repr=False)
class Verdict:
    """The outcome, and all that led to it. ``str()`` is the stable line: the promise and one word."""

    promise: Promise
    outcome: str
    samples: tuple[float, ...]
    interval: tuple[float, float]
    steal: float = 0.0

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return f"{self.promise.text}: {self.outcome}"

    def __bool__(self) -> bool:
        return self.outcome == PASS

    def detail(self) -> str:
        """The numbers: interval, promised range, rounds, steal. Not stable from run to run."""
        low, high = self.interval
        return (
            f"{number(statistics.mean(self.samples))} (99 %: {number(low)} … {number(high)}), promised {_range(self.promise)}, "
            f"{len(self.samples)} rounds, steal {self.steal:.1%}"
        )


def interval(samples: Sequence[float]) -> tuple[float, float]:
    """The 99 % confidence interval of the mean. One sample says nothing: (-inf, inf). Raises ValueError on none."""
    if not samples:
        raise ValueError("no samples")
    if len(samples) == 1:
        return -math.inf, math.inf
    degrees = len(samples) - 1
    quantile = _T99[degrees - 1] if degrees <= len(_T99) else _Z99
    middle, half = statistics.mean(samples), quantile * statistics.stdev(samples) / math.sqrt(len(samples))
    return middle - half, middle + half


def decide(samples: Sequence[float], promise: Promise) -> str:
    """What these samples say of the promise: PASS, FAIL, or INCONCLUSIVE (go on while there is a budget)."""
    low, high = interval(samples)
    if promise.low <= low and high <= promise.high:
        return PASS
    if high < promise.low or low > promise.high:
        return FAIL
    return INCONCLUSIVE


def judge(
    promise: Promise,
    sample: Callable[[], float],
    *,
    at_least: int = 4,
    at_most: int = 40,
    seconds: float = 15.0,
    now: Callable[[], float] = time.monotonic,
) -> Verdict:
    """Call `sample` until the promise is kept or broken, or until `at_most` rounds or `seconds` are spent.

    At least `at_least` rounds are taken: an early interval of two samples is a matter of luck. The verdict is remembered
    for `failed`. `now` is the clock, given by the tests.
    """
    before, start, samples = facts.cpu_times(), now(), [float(sample()) for _ in range(at_least)]
    while (outcome := decide(samples, promise)) == INCONCLUSIVE and len(samples) < at_most and now() - start < seconds:
        samples.append(float(sample()))
    steal = facts.steal_share(before, facts.cpu_times())
    return _remember(Verdict(promise, outcome, tuple(samples), interval(samples), steal))


def judge_all(
    promises: Mapping[str, Promise],
    sample: Callable[[], Mapping[str, float]],
    *,
    at_least: int = 4,
    at_most: int = 40,
    seconds: float = 15.0,
) -> dict[str, Verdict]:
    """`judge` for several promises on the same rounds: a call of `sample` gives one number for each, by name.

    Rounds are added until every promise is clear, or the budget is spent.
    """
    taken: dict[str, list[float]] = {name: [] for name in promises}
    start = time.monotonic()

    def undecided() -> bool:
        return any(decide(taken[name], promise) == INCONCLUSIVE for name, promise in promises.items())

    for turn in range(at_most):
        if turn >= at_least and (time.monotonic() - start >= seconds or not undecided()):
            break
        for name, value in sample().items():
            taken[name].append(float(value))
    return {name: judge_samples(promise, taken[name]) for name, promise in promises.items()}


def judge_samples(promise: Promise, samples: Sequence[float]) -> Verdict:
    """The verdict on samples that were already taken (a plot's own rows)."""
    return _remember(Verdict(promise, decide(samples, promise), tuple(samples), interval(samples)))


def fact(text: str, holds: bool) -> str:
    """The line for something that is so or is not (no samples needed): ``"text: PASS"``. A FAIL is remembered too."""
    value = 1.0 if holds else 0.0
    return str(_remember(Verdict(Promise(text, 0.5, 1.5), PASS if holds else FAIL, (value,), (value, value))))


def failed() -> list[Verdict]:
    """The verdicts of this process that are FAIL."""
    return [v for v in _results if v.outcome == FAIL]


def _remember(verdict: Verdict) -> Verdict:
    _results.append(verdict)
    return verdict


def number(value: float) -> str:
    """A measured number to be read: three digits, and from a thousand on all before the point (a limit holds to the page)."""
    return f"{value:.0f}" if 1000 <= abs(value) < math.inf else f"{value:.3g}"


def _range(promise: Promise) -> str:
    if promise.low == -math.inf:
        return f"at most {number(promise.high)}"
    if promise.high == math.inf:
        return f"at least {number(promise.low)}"
    return f"{number(promise.low)} … {number(promise.high)}"

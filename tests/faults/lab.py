"""Faults in lab/: a measurement that says PASS for nothing."""

from __future__ import annotations

from tests.faults import Fault

VERDICTS = "tests/unit/lab/test_verdicts.py"
SCENARIOS = "tests/unit/lab/test_scenarios.py"
ACCURACY = "tests/unit/lab/test_accuracy.py"
COUNTERS = "tests/unit/lab/test_counters.py"

FAULTS = (
    Fault(
        "lab/verdicts.py",
        "statistics.stdev(samples) / math.sqrt(len(samples))",
        "statistics.stdev(samples) / len(samples)",
        VERDICTS,
        "a verdict is surer than its samples",
    ),
    Fault(
        "lab/verdicts.py",
        "    if high < promise.low or low > promise.high:",
        "    if low < promise.low or high > promise.high:",
        VERDICTS,
        "a noisy machine is called a broken promise",
    ),
    Fault(
        "lab/verdicts.py",
        "for _ in range(at_least)]\n",
        "for _ in range(2)]\n",
        VERDICTS,
        "two samples that lie close by luck decide",
    ),
    Fault(
        "lab/verdicts.py",
        "return [v for v in _results if v.outcome == FAIL]",
        "return [v for v in _results if v.outcome == INCONCLUSIVE]",
        VERDICTS,
        "a notebook with a failed verdict is called good",
    ),
    Fault(
        "lab/scenarios.py",
        'held = first["quota_us"] / first["period_us"]',
        "held = cores",
        SCENARIOS,
        "a quota that the kernel did not take over is judged by what was asked for",
    ),
    Fault(
        "lab/scenarios.py",
        'held = next(r["memory_limit"] for r in rows if not r.get("ended")) // PAGE',
        "held = limit // PAGE",
        SCENARIOS,
        "a memory limit that the kernel rounded is judged by the flag",
    ),
    Fault(
        "lab/scenarios.py",
        'Promise.near(text, rows[0]["throttle"][key], 0.10)',
        "Promise.near(text, rate, 0.10)",
        SCENARIOS,
        "a disk limit that the kernel holds otherwise is judged by the flag",
    ),
    Fault(
        "lab/scenarios.py",
        "expected = weights[above] / weights[below]",
        "expected = weights[below] / weights[above]",
        SCENARIOS,
        "shares are judged upside down",
    ),
    Fault(
        "lab/scenarios.py",
        "return hits > 0 or",
        "return hits >= 0 or",
        SCENARIOS,
        "a container that never met its limit counts as a proof of it",
    ),
    Fault(
        "lab/accuracy.py",
        "self.control.verdict.outcome == FAIL)",
        "self.control.verdict.outcome != PASS)",
        ACCURACY,
        "a control that proved nothing is accepted",
    ),
    Fault(
        "lab/accuracy.py",
        "    return 0 if held and all(held) else 1\n",
        "    return 0\n",
        ACCURACY,
        "the accuracy table ends well whatever it found",
    ),
    Fault(
        "lab/accuracy.py",
        "if held and all(held) else",
        "if held and held[-1] else",
        ACCURACY,
        "only the last line of the accuracy table counts",
    ),
    Fault(
        "lab/accuracy.py",
        "promise=result.promise, at_most=8",
        "at_most=8",
        "tests/linux/lab/test_accuracy.py",
        "the control is judged by a promise of its own, which it keeps",
    ),
    Fault(
        "lab/progress.py",
        "        shown.value += 1\n",
        "        pass\n",
        "tests/unit/lab/test_progress.py",
        "the bar in a notebook never moves",
    ),
    Fault(
        "lab/counters.py",
        "return _chosen(found, times, 1000)",
        "return _chosen(found, times, 1)",
        COUNTERS,
        "on cgroup v2 all times are a thousandth",
    ),
    Fault(
        "lab/counters.py",
        "            window[key] = value - before[key]\n",
        "            window[key] = value\n",
        COUNTERS,
        "a window holds all that was ever counted",
    ),
    Fault(
        "lab/experiment.py",
        "dataclasses.replace(load, limits={})",
        "dataclasses.replace(load, limits={}, fixed={})",
        SCENARIOS,
        "the control takes away more than the limit",
    ),
    Fault(
        "lab/checks.py",
        "    if workspace.solutions() and result.outcome != PASS:",
        "    if workspace.solutions() and result.outcome == FAIL:",
        "tests/unit/lab/test_checks.py",
        "a solution that is never recognised stops nobody",
    ),
    Fault(
        "lab/facts.py",
        'return (after["steal"] - before["steal"]) / total if total > 0 else 0.0',
        'return after["steal"] / total if total > 0 else 0.0',
        "tests/unit/lab/test_measure.py",
        "the steal time that is told is that of the whole boot",
    ),
    Fault(
        "lab/predict.py",
        'return "default prediction" if self.answer is None else "your prediction"',
        'return "your prediction"',
        "tests/unit/lab/test_predict.py",
        "a default is called the reader's own prediction",
    ),
)

"""The accuracy table's own judgement, on samples that were recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidock.lab import accuracy, scenarios
from minidock.lab.accuracy import Line
from minidock.lab.experiment import Experiment, Load, Result
from minidock.lab.verdicts import Promise, Verdict, decide, interval

TWO = Promise.near("2:1 within 5 %", 2.0, 0.05)


def result(*samples: float) -> Result:
    verdict = Verdict(TWO, decide(samples, TWO), samples, interval(samples))
    return Result(Experiment("x", [Load("a")]), [], verdict)


EXACT, EQUAL, NOISY = result(1.99, 2.01, 2.0, 2.0), result(1.0, 1.01, 0.99, 1.0), result(1.5, 2.6, 1.2, 2.4)


def test_a_promise_holds_when_its_control_fails() -> None:
    assert Line("shares", EXACT, EQUAL).holds
    assert not Line("shares", EXACT, EXACT).holds, "a control that passes proves that nothing was tested"
    assert not Line("shares", EQUAL, EQUAL).holds
    assert not Line("shares", NOISY, EQUAL).holds
    assert Line("equal", EXACT, None).holds


def test_a_direction_is_less_than_a_promise() -> None:
    assert Line("shares", NOISY, EQUAL).direction
    assert not Line("shares", EQUAL, EQUAL).direction
    assert Line("alone", NOISY, None).direction and not Line("alone", EQUAL, None).direction


def test_the_line_tells_both() -> None:
    text = str(Line("shares", EXACT, EQUAL))
    assert "2:1 within 5 %: PASS" in text and "4 rounds" in text and "without the limit: 1: FAIL" in text


def test_an_unknown_case_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        accuracy.main(["speed"])
    assert end.value.code == 2 and "no such case: speed" in capsys.readouterr().err


def test_the_expected_value_is_the_promises() -> None:
    assert EXACT.expected == pytest.approx(2.0)
    one_sided = Result(EXACT.experiment, [], Verdict(Promise("", low=0.995), "PASS", (1.0,), (1.0, 1.0)))
    assert one_sided.expected == 0.995


def test_every_case_is_an_experiment_with_a_goal(tmp_path: Path) -> None:
    made = [case(tmp_path) for name, case in accuracy.CASES.items() if name != "disk"]
    assert all(e.goal is not None for e in made) and len({e.name for e in made}) == len(made)
    assert scenarios.quota(0.5).name in {e.name for e in made}


def test_a_control_that_proved_nothing_is_not_accepted() -> None:
    assert not Line("shares", EXACT, NOISY).holds, "INCONCLUSIVE is no FAIL"


@pytest.mark.parametrize(
    ("lines", "directions", "code"),
    [
        ([Line("a", EXACT, EQUAL), Line("b", EXACT, None)], False, 0),
        ([Line("a", NOISY, EQUAL), Line("b", EXACT, EQUAL)], False, 1),
        ([Line("a", EXACT, EQUAL), Line("b", EXACT, EXACT)], False, 1),
        ([Line("a", EXACT, NOISY), Line("b", EXACT, EQUAL)], False, 1),
        ([Line("a", NOISY, EQUAL)], True, 0),
        ([Line("a", EQUAL, EXACT), Line("b", EXACT, EQUAL)], True, 1),
        ([], False, 1),
    ],
)
def test_the_exit_code_tells_whether_all_of_it_holds(
    lines: list[Line], directions: bool, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert accuracy.show(iter(lines), directions=directions) == code
    shown = capsys.readouterr().out
    assert shown.count("NO ") == sum(not (line.direction if directions else line.holds) for line in lines)

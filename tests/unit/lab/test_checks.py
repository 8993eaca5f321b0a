"""check(): not attempted, PASS, FAIL; and what changes in the run with solutions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from minidock.lab import checks, workspace
from minidock.lab.checks import CheckFailed, Wrong, answered, check, evaluate, expect, register


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(checks, "_registry", {})
    monkeypatch.delenv(workspace.SOLUTIONS, raising=False)

    @register("99-answer", "observe", "the answer to everything")
    def answer(given: Any) -> str:
        expect(isinstance(answered(given), int), "not a number")
        expect(given == 42, "not the answer to everything")
        return "as the mice said"

    yield


def test_untouched_is_not_attempted_and_no_failure() -> None:
    result = check("99-answer")
    assert str(result).startswith("99-answer: not attempted")
    assert bool(result)
    assert check("99-answer", ...).outcome == checks.NOT_ATTEMPTED


def test_right_and_wrong() -> None:
    assert str(check("99-answer", 42)) == "99-answer: PASS (as the mice said)"
    wrong = check("99-answer", 41)
    assert str(wrong) == "99-answer: FAIL (not the answer to everything)"
    assert not wrong
    assert "not the answer" in wrong._repr_html_()


def test_a_hint_is_shown_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "<script>" not in checks.Result("x", checks.FAIL, "<script>")._repr_html_()


def test_with_solutions_anything_but_pass_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(workspace.SOLUTIONS, "1")
    assert check("99-answer", 42)
    with pytest.raises(CheckFailed, match="not the answer"):
        check("99-answer", 41)
    with pytest.raises(CheckFailed, match="not attempted"):
        check("99-answer")


def test_a_fault_in_the_check_is_no_verdict() -> None:
    @register("99-broken", "build", "x")
    def broken(_given: Any) -> str:
        raise RuntimeError("the check itself")

    with pytest.raises(RuntimeError):
        evaluate("99-broken", 1)


def test_registering() -> None:
    """A check with a wrong tier, a taken name or no name at all is an error for the author, not a silent pass."""
    with pytest.raises(ValueError, match="tier"):
        register("99-x", "guess", "x")
    with pytest.raises(ValueError, match="two checks"):
        register("99-answer", "observe", "again")(lambda _: None)
    with pytest.raises(KeyError):
        check("99-none", 1)
    assert [c.id for c in checks.registered("99")] == ["99-answer"]


def test_wrong_is_no_error_of_the_learner() -> None:
    assert not issubclass(Wrong, AssertionError)

"""Predictions: asked, kept, and the default when nobody answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minidock.lab import quiz, widgets, workspace
from minidock.lab.predict import predict


@pytest.fixture(autouse=True)
def headless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(workspace.BUILD, str(tmp_path))
    monkeypatch.setenv(workspace.HEADLESS, "1")


def test_default_when_nobody_answers(tmp_path: Path) -> None:
    made = predict("99-x", "how many?", default=3, unit="ms")
    assert (made.value, made.number) == (3, 3.0)
    assert str(made) == repr(made) == "default prediction: 3 ms"
    assert not (tmp_path / "predictions.json").exists()


def test_an_answer_is_kept_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predict("99-x", "how many?", default=3).keep(7)
    predict("99-y", "which?", default="a", choices=["a", "b"]).keep("b")
    assert json.loads((tmp_path / "predictions.json").read_text()) == {"99-x": 7.0, "99-y": "b"}
    monkeypatch.delenv(workspace.HEADLESS)
    again = predict("99-x", "how many?", default=3)
    assert again.number == 7
    assert again.source == "your prediction"
    assert predict("99-y", "which?", default="a", choices=["a", "b"]).value == "b"
    assert predict("99-y", "which, now?", default="c", choices=["c", "d"]).value == "c", (
        "a kept answer that is no choice any more"
    )


def test_headless_ignores_what_a_reader_kept() -> None:
    predict("99-x", "how many?", default=3).keep(7)
    assert predict("99-x", "how many?", default=3).number == 3


def test_what_cannot_be() -> None:
    made = predict("99-y", "which?", default="a", choices=["a", "b"])
    with pytest.raises(ValueError, match="none of"):
        made.keep("c")
    with pytest.raises(ValueError):
        predict("99-x", "how many?", default=3).keep("many")
    with pytest.raises(ValueError, match="default"):
        predict("99-y", "which?", default="z", choices=["a", "b"])


def test_the_question_is_shown_as_text() -> None:
    assert "<b>x</b>" not in predict("99-z", "<b>x</b>", default=1)._repr_html_()


def test_controls_tell_what_was_entered() -> None:
    kept: list[object] = []
    number = widgets.ask(3, (), "ms", kept.append)
    number.children[0].value = 5
    choice = widgets.ask("a", ("a", "b"), "", kept.append)
    choice.children[0].value = "b"
    assert kept == [5, "b"]


def test_slider_draws_the_static_picture_when_headless() -> None:
    drawn: list[str] = []
    widgets.slider(lambda n: drawn.append(f"live {n}"), label="n", values=[1, 2], static=lambda: drawn.append("static"))
    assert drawn == ["static"]


def test_slider_is_redrawn_when_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(workspace.HEADLESS)
    drawn: list[int] = []
    shown: list[object] = []
    monkeypatch.setattr(widgets, "show", lambda static, live: shown.append(live()))
    widgets.slider(drawn.append, label="n", values=[1, 2, 4], static=lambda: None)
    shown[0].children[0].value = 4  # type: ignore[attr-defined]
    assert drawn == [1, 4]


def test_quiz(monkeypatch: pytest.MonkeyPatch) -> None:
    """A right answer is explained, a wrong one does not give it away."""
    monkeypatch.setattr(quiz, "_questions", {})
    question = quiz.add("99-q", "1 + 1 < 3?", ("yes", "no"), 0, "arithmetic")
    assert question.mark(0) == "Right. arithmetic"
    assert "arithmetic" not in question.mark(1)
    assert "1 + 1 &lt; 3?" in question._repr_html_()
    assert repr(question).startswith("1 + 1")
    assert quiz.add("99-q", "1 + 1 < 3?", ("yes", "no"), 0, "arithmetic") == question, "a module may be imported again"
    with pytest.raises(ValueError):
        quiz.add("99-q", "other", ("yes", "no"), 0, "")
    with pytest.raises(ValueError):
        quiz.add("99-r", "?", ("yes", "no"), 2, "")
    with pytest.raises(KeyError):
        quiz.quiz("99-none")

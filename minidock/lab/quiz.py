"""``quiz("03-six")``: one question, some choices, and why the right one is right.

Questions live with the checks of their chapter (``exercises/``), so that the notebook does not give the answer away. A live
notebook shows radio buttons and answers at once; read as a page, the answer is folded under the question.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from minidock.lab import widgets


@dataclass(frozen=True, repr=False)
class Question:
    """A quiz question: `right` is the index of the right choice, `because` the reason shown with the answer."""

    id: str
    question: str
    choices: tuple[str, ...]
    right: int
    because: str

    def mark(self, index: int) -> str:
        """What to say to the choice number `index`."""
        verdict = "Right." if index == self.right else "No."
        return f"{verdict} {self.because}" if index == self.right else f"{verdict} Think again, then choose another."

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join([self.question, *(f"  {chr(97 + i)}) {c}" for i, c in enumerate(self.choices))])

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(c)}</li>" for c in self.choices)
        return (
            f'<div style="border-left:4px solid #CC79A7;padding:4px 10px"><b>Quiz.</b> {escape(self.question)}'
            f'<ol type="a" style="margin:4px 0">{items}</ol><details><summary>Answer</summary>'
            f"{chr(97 + self.right)}) {escape(self.because)}</details></div>"
        )


_questions: dict[str, Question] = {}


def add(id: str, question: str, choices: tuple[str, ...], right: int, because: str) -> Question:
    """Register a question. Raises ValueError if `right` is no choice, or the id is taken by another question."""
    made = Question(id, question, choices, right, because)
    if not 0 <= right < len(choices):
        raise ValueError(f"{id}: there is no choice {right}")
    if _questions.setdefault(id, made) != made:
        raise ValueError(f"two questions called {id}")
    return made


def registered(chapter: str = "") -> list[Question]:
    """The questions whose id starts with `chapter`."""
    return [q for q in _questions.values() if q.id.startswith(chapter)]


def quiz(id: str) -> None:
    """Show the question `id`. Raises KeyError if there is none."""
    question = _questions[id]
    widgets.show(question, lambda: _live(question))


def _live(question: Question) -> Any:
    import ipywidgets

    buttons = ipywidgets.RadioButtons(options=[(c, i) for i, c in enumerate(question.choices)], value=None)
    said = ipywidgets.HTML("")

    def chosen(change: dict[str, Any]) -> None:
        said.value = escape(question.mark(int(change["new"])))

    buttons.observe(chosen, names="value")
    return ipywidgets.VBox([buttons, said])

"""``predict("03-net", "How many times …?", default=2)``: commit yourself before you measure.

A prediction is a number or one of several choices. In a live notebook it is asked with a control and kept in
``build/predictions.json``, so that it is still there after a kernel restart and can be drawn beside the measurement. When
nobody answers (``./lab run``), it is the `default`, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from minidock.lab import widgets, workspace

Answer = float | str


@dataclass(repr=False)
class Prediction:
    """What the reader expects. `value` is the kept answer, or the default as long as there is none."""

    id: str
    question: str
    default: Answer
    unit: str = ""
    choices: tuple[str, ...] = ()
    answer: Answer | None = None

    @property
    def value(self) -> Answer:
        """The answer if there is one, else the default."""
        return self.default if self.answer is None else self.answer

    @property
    def number(self) -> float:
        """The value as a number. Raises ValueError for a choice."""
        return float(self.value)

    @property
    def source(self) -> str:
        """Who said it: "your prediction", or "default prediction"."""
        return "default prediction" if self.answer is None else "your prediction"

    def keep(self, answer: Answer) -> None:
        """Take `answer` and keep it. Raises ValueError if it is not a number, or none of the choices."""
        if self.choices and answer not in self.choices:
            raise ValueError(f"{answer!r} is none of {', '.join(self.choices)}")
        self.answer = answer if self.choices else float(answer)
        kept = workspace.read_json(_file(), {})
        workspace.write_json(_file(), {**kept, self.id: self.answer})

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        value = self.value if self.choices else f"{self.number:g}"
        return f"{self.source}: {value}{f' {self.unit}' if self.unit else ''}"

    def _repr_html_(self) -> str:
        return (
            '<div style="border-left:4px solid #0072B2;padding:4px 10px"><b>Predict.</b> '
            f"{escape(self.question)}<br><i>{escape(str(self))}</i></div>"
        )


def predict(
    id: str, question: str, *, default: Answer, unit: str = "", choices: Sequence[str] = (), answer: Answer | None = None
) -> Prediction:
    """Ask for a prediction, show the question, return the `Prediction` (its `value` follows the control).

    `answer` given in code is kept like one given with the control. Raises ValueError if the default is none of the choices.
    """
    if choices and default not in choices:
        raise ValueError(f"the default {default!r} is none of the choices")
    prediction = Prediction(id, question, default, unit, tuple(choices))
    if answer is not None:
        prediction.keep(answer)
    elif not workspace.headless():
        kept = workspace.read_json(_file(), {}).get(id)
        prediction.answer = kept if not choices or kept in choices else None
    widgets.show(prediction, lambda: widgets.ask(prediction.value, prediction.choices, unit, prediction.keep))
    return prediction


def _file() -> Path:
    return workspace.build_dir() / "predictions.json"

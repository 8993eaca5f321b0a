"""What a command's end becomes: an exit code that scripts rely on, and words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from minidock import errors
from minidock.cli import main


def raising(error: BaseException) -> Callable[[list[str]], int]:
    def run(_words: list[str]) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, ""),
        (errors.Conflict("taken"), 1, "Error response from daemon: taken"),
        (main.UsageError("no", 125), 125, "no"),
    ],
)
def test_exit_codes_that_scripts_rely_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, words: str
) -> None:
    monkeypatch.setattr(main, "_run", raising(error))
    assert main.main(["ps"]) == code
    assert words in capsys.readouterr().err

"""Running notebooks without anybody: errors and failed verdicts are named, figures are in the page, solutions take over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from minidock.lab import runner, workspace

FIGURE = """
from minidock.lab import plots
plots.bars({"a": 1.0, "b": 2.0}, title="b costs more", label="time (ms)")
"""
EXERCISE = """
from minidock.lab import checks
if "99-two" not in checks._registry:
    @checks.register("99-two", "observe", "two")
    def two(given):
        checks.expect(checks.answered(given) == 2, "not two")
answer = ...
checks.check("99-two", answer)
"""
SOLUTION = "<details>\n\n```python\n" + EXERCISE.replace("answer = ...", "answer = {}") + "```\n</details>"


@pytest.fixture(autouse=True)
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(workspace.BUILD, str(tmp_path / "build"))
    return tmp_path / "build"


def notebook(path: Path, *cells: Any) -> Path:
    made = nbformat.v4.new_notebook(cells=list(cells))
    path.write_text(nbformat.writes(made))
    return path


def code(source: str, **metadata: Any) -> Any:
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def exercise(solution: str) -> list[Any]:
    folded = nbformat.v4.new_markdown_cell(
        SOLUTION.format(solution), metadata={"tags": ["solution"], "minidock": {"solution": "99-two"}}
    )
    return [code(EXERCISE, minidock={"exercise": "99-two"}), folded]


def test_a_run_that_is_well(tmp_path: Path, build: Path) -> None:
    path = notebook(tmp_path / "99-x.ipynb", code("print('all is well: PASS')"), code(FIGURE), *exercise("2"))
    before, seen = path.read_bytes(), []
    report = runner.execute(path, progress=lambda done, total: seen.append((done, total)))
    assert report.ok, str(report)
    assert (report.cells, report.figures) == (3, 1)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert path.read_bytes() == before, "only save writes"
    page = (build / "report" / "99-x.html").read_text()
    assert "data:image/png;base64" in page
    assert 'alt="b costs more' in page
    assert not re.search(r'<(script|link)[^>]+(src|href)="http', page), "a page that needs no network"


def test_an_error_and_a_failed_verdict_are_named(tmp_path: Path) -> None:
    path = notebook(tmp_path / "99-x.ipynb", code("print('2:1 within 5 %: FAIL')"), code("1 / 0"), code("print('never')"))
    report = runner.execute(path)
    assert not report.ok
    assert report.errors == ["ZeroDivisionError: division by zero"]
    assert report.failed == ["2:1 within 5 %: FAIL"]
    assert "2:1 within 5 %" in str(report)
    assert report.html is not None and report.html.exists()


def test_an_exercise_that_fails_is_the_readers_business(tmp_path: Path) -> None:
    wrong = EXERCISE.replace("answer = ...", "answer = 3")
    path = notebook(tmp_path / "99-x.ipynb", code(wrong, minidock={"exercise": "99-two"}))
    assert runner.execute(path).ok


def test_solutions_take_the_exercises_place(tmp_path: Path) -> None:
    path = notebook(tmp_path / "99-x.ipynb", *exercise("2"))
    assert runner.execute(path, solutions=True).ok
    path = notebook(tmp_path / "99-y.ipynb", *exercise("3"))
    report = runner.execute(path, solutions=True)
    assert report.errors == ["CheckFailed: 99-two: FAIL (not two)"]
    assert report.name == "99-y-solutions"


def test_save_writes_outputs_and_nothing_else(tmp_path: Path) -> None:
    path = notebook(tmp_path / "99-x.ipynb", code("print(1)"))
    ids = [c.id for c in nbformat.read(path, 4).cells]
    runner.execute(path, save=True)
    saved = nbformat.read(path, 4)
    assert saved.cells[0].outputs[0].text == "1\n"
    assert saved.metadata.kernelspec.name == "python3"
    assert [c.id for c in saved.cells] == ids
    assert "execution" not in saved.cells[0].metadata
    broken = notebook(tmp_path / "99-y.ipynb", code("1 / 0"))
    before = broken.read_bytes()
    runner.execute(broken, save=True)
    assert broken.read_bytes() == before, "a broken run is not saved"


def test_names_of_chapters(tmp_path: Path) -> None:
    every = [notebook(tmp_path / name) for name in ("00-preflight.ipynb", "03-namespaces.ipynb")]
    assert runner.chapters([], tmp_path) == every
    assert runner.chapters(["03"], tmp_path) == every[1:]
    assert runner.chapters(["notebooks/00-preflight.ipynb", "03-namespaces"], tmp_path) == every
    with pytest.raises(ValueError, match="no such chapter: 42"):
        runner.chapters(["42"], tmp_path)


def test_command_line(tmp_path: Path, build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`./lab run` fails if a chapter fails, and names it."""
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    notebook(tmp_path / "notebooks" / "01-good.ipynb", code("print('x: PASS')"))
    notebook(tmp_path / "notebooks" / "02-bad.ipynb", code("print('y: FAIL')"))
    monkeypatch.chdir(tmp_path)
    assert runner.main(["01"]) == 0
    assert runner.main([]) == 1
    assert runner.main(["77"]) == 2
    said = capsys.readouterr()
    assert "failed verdict: y: FAIL" in said.out
    assert "no such chapter: 77" in said.err
    index = (build / "report" / "index.html").read_text()
    assert "01-good.html" in index and "✘" in index
    with pytest.raises(SystemExit):
        runner.main(["--save", "--solutions", "01"])

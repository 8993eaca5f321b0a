"""The form of a chapter, read off the committed files: sections, exercises, figures, verdicts, and that they were executed."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from minidock.lab import checks, quiz, runner
from tests.notebooks.conftest import CHAPTERS, LAB, NOTEBOOKS

SECTIONS = {
    "00-preflight": ("Predict", "By hand", "Build", "Measure", "Break it", "What the 2015 text says", "Exercises", "Clean-up"),
    "03-namespaces": ("claim", "Predict", "By hand", "step by step", "not* isolated", "costs", "Break it", "cgroup v1 and v2",
                      "What the 2015 text says", "Exercises", "Quiz", "Clean-up"),
    "04-cgroups": ("claim", "Predict", "By hand", "Every controller", "Inheritance", "Build", "together", "Break it",
                   "side by side", "What the 2015 text says", "Exercises", "Quiz", "Clean-up"),
    "08-cpu": ("claim", "Predict", "By hand", "step by step", "Measure", "Three containers", "cpuset", "Without pinning",
               "quota", "Break it", "cgroup v1 and v2", "What the 2015 text says", "Exercises", "Quiz", "Clean-up"),
    "09-memory": ("claim", "Predict", "By hand", "Ours", "Which figure says what", "below, at and above", "How far", "OOM",
                  "Reservation", "page cache", "Swappiness", "Break it", "cgroup v1 and v2", "What the 2015 text says",
                  "Exercises", "Quiz", "Clean-up"),
    "11-disk-io": ("claim", "Predict", "By hand", "Ours", "Measure", "Buffered", "Weights", "Latency", "layer", "Break it",
                   "cgroup v1 and v2", "What the 2015 text says", "Exercises", "Quiz", "Clean-up"),
}  # fmt: skip


@pytest.fixture(params=CHAPTERS, ids=lambda p: p.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def notebook(path: Path) -> Any:
    made = nbformat.read(path, as_version=4)
    nbformat.validate(made)
    return made


def code_cells(notebook: Any) -> list[Any]:
    return [c for c in notebook.cells if c.cell_type == "code"]


def text(notebook: Any) -> str:
    return "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def number(path: Path) -> str:
    return path.stem.partition("-")[0]


def test_every_chapter_is_tested() -> None:
    assert {p.stem for p in CHAPTERS} == set(SECTIONS)


def test_size_and_cells(path: Path, notebook: Any) -> None:
    assert path.stat().st_size <= 300_000
    assert 30 <= len(notebook.cells) <= 100
    assert notebook.metadata.kernelspec.name == "python3"
    ids = [c.id for c in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9-]+", i) for i in ids), "ids are words, so that they stay the same"


def test_sections_in_order(path: Path, notebook: Any) -> None:
    headings = [line for line in text(notebook).splitlines() if line.startswith("#")]
    at = -1
    for wanted in SECTIONS[path.stem]:
        at = next((i for i, h in enumerate(headings) if i > at and wanted in h), -1)
        assert at >= 0, f"no heading with {wanted!r} in its place"


def test_opening(notebook: Any) -> None:
    """The reader learns first what is asked, what comes out, how long it takes and what it needs."""
    title = notebook.cells[0].source
    assert title.startswith("# ")
    for part in ("**The question", "**The plot you will get", "| before this |", "| time |", "| needs |"):
        assert part in title, part
    first = code_cells(notebook)[0].source
    assert "begin(" in first and "needs=" in first


def test_closing(notebook: Any) -> None:
    """The chapter ends with the proof that nothing was left on the reader's machine."""
    last = code_cells(notebook)[-1]
    assert "chapter.end()" in last.source
    assert "nothing left behind" in last.outputs[0].text and "PASS" in last.outputs[0].text


def test_executed_in_order_without_error(notebook: Any) -> None:
    cells = code_cells(notebook)
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]
    assert runner.failed_verdicts(notebook) == []


def test_figures_are_there_and_described(notebook: Any) -> None:
    figures = [o for c in code_cells(notebook) for o in c.outputs if "image/png" in o.get("data", {})]
    assert len(figures) >= 3
    assert all(len(o.metadata["image/png"]["alt"]) > 30 for o in figures)


def test_stable_cells_are_compared(notebook: Any) -> None:
    """Cells marked for comparison print verdicts, and no number that changes from run to run."""
    marked = [c for c in code_cells(notebook) if "# NBVAL_CHECK_OUTPUT" in c.source]
    assert len(marked) >= 8
    assert any("PASS" in o.text for c in marked for o in c.outputs if o.output_type == "stream")
    for cell in marked:
        assert all(o.output_type == "stream" for o in cell.outputs), cell.id
        printed = "".join(o.text for o in cell.outputs)
        assert "INCONCLUSIVE" not in printed, f"{cell.id}: committed on a day that was too noisy"
        assert not re.search(r"\d+\.\d{2,}|[0-9a-f]{12}", printed), f"{cell.id} prints something that changes"


def test_exercises(path: Path, notebook: Any) -> None:
    """Each exercise has its check, its solution and its tier; a solution without a check would teach nothing."""
    importlib.import_module(f"minidock.lab.exercises.ch{number(path)}")
    registered = {c.id: c for c in checks.registered(number(path))}
    solutions = runner.solution_code(notebook)
    cells = {c.metadata.minidock.exercise: c for c in code_cells(notebook) if "exercise" in c.metadata.get("minidock", {})}
    assert set(cells) == set(solutions) == set(registered)
    assert {c.tier for c in registered.values()} == {"observe", "modify", "build"}
    for id, cell in cells.items():
        assert registered[id].tier in cell.metadata.tags
        assert f'check("{id}"' in cell.source and f'check("{id}"' in solutions[id]
        ast.parse(solutions[id])
        assert "not attempted" in cell.outputs[0].data["text/plain"], "committed untouched"
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            assert cell.cell_type == "markdown" and cell.source.startswith("<details>"), "folded, wherever it is read"


def test_quiz(path: Path, notebook: Any) -> None:
    """Each question of the chapter is registered, and each registered one is asked."""
    importlib.import_module(f"minidock.lab.exercises.ch{number(path)}")
    asked = set(re.findall(r'quiz\("([\w-]+)"\)', "\n".join(c.source for c in code_cells(notebook))))
    assert asked == {q.id for q in quiz.registered(number(path))}


def test_seed_is_quoted_and_its_terms_are_given(notebook: Any) -> None:
    prose = text(notebook)
    quotes = re.findall(r"^> (.+)$", prose, re.MULTILINE)
    assert quotes and all(len(q) < 120 for q in quotes)
    assert "名字空间" in prose
    assert re.search(r"section \d", prose), "a quotation says where it is from"


def test_links_lead_somewhere(path: Path, notebook: Any) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(notebook)):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target


def test_functions_named_in_the_prose_exist(notebook: Any) -> None:
    for name in re.findall(r"`(minidock(?:\.\w+)+)`", text(notebook)):
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), attribute), name
    for name in re.findall(r"`((?:minidock|libcontainer)/[\w/]+\.py)`", text(notebook)):
        assert (LAB / name).exists() or (LAB / "minidock" / name).exists(), name


def test_code_fits_the_page(notebook: Any) -> None:
    wide = [(c.id, len(line)) for c in code_cells(notebook) for line in c.source.splitlines() if len(line) > 110]
    assert wide == []


def test_nothing_of_this_machine_is_in_them(path: Path) -> None:
    content = path.read_text()
    for private in (str(LAB), "/tmp/pytest", "api_key"):
        assert private not in content


def test_controls_leave_no_dead_view(path: Path) -> None:
    """A committed control shows its static rendering, not a model that no kernel has any more."""
    assert "application/vnd.jupyter.widget-view" not in path.read_text()


def test_formatted() -> None:
    """The code that students read in chapters is formatted as the source is."""
    argv = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "96", "--check", *map(str, CHAPTERS)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert NOTEBOOKS.is_dir()

"""Run chapters without anybody in front of them: ``python -m minidock.lab.runner [--save] [--solutions] CHAPTER…``.

`execute` runs one notebook with nbclient, cell by cell, writes ``build/report/NAME.html`` with its figures inside, and tells
the errors and the verdicts that are FAIL by name. ``--save`` alone writes outputs back into the notebook (a reader's own run
never changes a committed file). ``--solutions`` runs a copy in which each cell tagged ``solution`` takes the place of its
exercise; there a check that does not pass is an error.

A *chapter* is named by its number ("03"), its name ("03-namespaces") or its path; none named means all.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from minidock.lab import workspace

CELL_TIMEOUT = 120  # seconds; a chapter has 90 for all its cells
_NO_ALT = "No description has been provided for this image"
_FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
_FAILED = re.compile(r"^(.*): FAIL\b.*$", re.MULTILINE)

Progress = Callable[[int, int], None]


class _Kernel(AsyncKernelManager):
    """A kernel on unix sockets: nothing on the network, and no warning about it. Their path must not depend on the folder."""

    def __init__(self, **options: Any) -> None:
        folder = tempfile.mkdtemp(prefix="minidock-lab-kernel-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        super().__init__(transport="ipc", ip=f"{folder}/ipc", **options)


@dataclass
class Report:
    """How a run went: `errors` (exceptions) and `failed` (verdicts that are FAIL), each as one line; `html` the page."""

    name: str
    seconds: float = 0.0
    cells: int = 0
    figures: int = 0
    errors: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    html: Path | None = None

    @property
    def ok(self) -> bool:
        """No error and no failed verdict."""
        return not self.errors and not self.failed

    def __str__(self) -> str:
        state = "ok" if self.ok else "; ".join([*self.errors, *(f"failed verdict: {f}" for f in self.failed)])
        return f"{self.name}: {self.cells} cells, {self.figures} figures, {self.seconds:.0f} s: {state}"


def execute(path: Path, *, solutions: bool = False, save: bool = False, progress: Progress | None = None) -> Report:
    """Execute the notebook at `path` headless, in its own folder; `progress(done, total)` is called after each cell.

    Errors are reported, not raised: the page is written in any case, with the traceback in it. With `save` the outputs are
    written into the notebook if the run was without an error.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    if solutions:
        notebook = with_solutions(notebook)
    report, start = Report(path.stem + ("-solutions" if solutions else "")), time.monotonic()
    total = sum(c.cell_type == "code" for c in notebook.cells)
    client = NotebookClient(
        notebook, timeout=CELL_TIMEOUT, kernel_name="python3", store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}}, kernel_manager_class=_Kernel,
    )  # fmt: skip

    def after(cell: Any, **_: object) -> None:
        if cell.cell_type == "code":
            report.cells += 1
            if progress:
                progress(report.cells, total)

    client.on_cell_executed = after
    with _environment(solutions):
        try:
            client.execute()
        except CellExecutionError as e:
            report.errors.append(_first_line(e))
    report.seconds = time.monotonic() - start
    report.failed += failed_verdicts(notebook)
    report.figures = sum("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))
    report.html = _write_html(notebook, report.name)
    if save and not report.errors:
        workspace.write_text(path, _text(tidy(notebook)))
    return report


def with_solutions(notebook: Any) -> Any:
    """A copy in which each exercise cell holds the code of its solution cell (same id in ``metadata.minidock``)."""
    copy = deepcopy(notebook)
    code = solution_code(copy)
    for cell in copy.cells:
        exercise = cell.metadata.get("minidock", {}).get("exercise")
        if exercise:
            cell.source = code[exercise]
    return copy


def solution_code(notebook: Any) -> dict[str, str]:
    """Exercise id → the code in its folded solution cell. Raises ValueError for a solution without a Python block."""
    found = {}
    for cell in notebook.cells:
        if "solution" in cell.metadata.get("tags", []):
            block = _FENCE.search(cell.source)
            if block is None:
                raise ValueError(f"cell {cell.id}: a solution without a ```python block")
            found[cell.metadata["minidock"]["solution"]] = block[1]
    return found


def failed_verdicts(notebook: Any) -> list[str]:
    """The verdict lines that say FAIL, from every cell that is not an exercise (an exercise may say so to its reader)."""
    lines = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and "exercise" not in cell.metadata.get("minidock", {}):
            lines += [m[0] for o in cell.outputs for m in _FAILED.finditer(_output_text(o))]
    return lines


def tidy(notebook: Any) -> Any:
    """What is committed: no timestamps, no execution metadata, no pictures' text twice; the kernelspec is python3."""
    kernelspec = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    language = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
    notebook.metadata = nbformat.NotebookNode(kernelspec=kernelspec, language_info=language)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


def chapters(names: list[str], folder: Path | None = None) -> list[Path]:
    """The notebooks that `names` mean, in order; all of the folder's for no name. Raises ValueError for an unknown one."""
    folder = folder or workspace.project_root() / "notebooks"
    every = sorted(folder.glob("*.ipynb"))
    chosen = []
    for name in names:
        stem = Path(name).name.removesuffix(".ipynb")
        found = [p for p in every if p.stem == stem or p.stem.partition("-")[0] == stem]
        if not found:
            raise ValueError(f"no such chapter: {name} (there are: {', '.join(p.stem for p in every)})")
        chosen += found
    return chosen or every


def index(reports: list[Report]) -> Path:
    """Write ``build/report/index.html``: every page of the folder, the ones just made with how they went."""
    folder, states = workspace.build_dir("report"), {r.name: r for r in reports}
    rows = []
    for page in sorted(p for p in folder.glob("*.html") if p.name != "index.html"):
        report = states.get(page.stem)
        mark = "" if report is None else "✔" if report.ok else "✘"
        about = "from an earlier run" if report is None else escape(str(report).partition(": ")[2])
        rows.append(f'<tr><td>{mark}</td><td><a href="{escape(page.name)}">{escape(page.stem)}</a></td><td>{about}</td></tr>')
    style = "body{font-family:sans-serif;max-width:60em;margin:2em auto}td{padding:.3em .8em;vertical-align:top}"
    return workspace.write_text(
        folder / "index.html",
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>minidock: reports</title><style>{style}</style>'
        f"<h1>minidock: the chapters, as run on this machine</h1><table>{''.join(rows)}</table></html>\n",
    )


def main(argv: list[str] | None = None) -> int:
    """The command line. Returns 0, or 1 if a chapter had an error or a failed verdict (named), or 2 for an unknown one."""
    parser = argparse.ArgumentParser(prog="python -m minidock.lab.runner", description="Run chapters headless.")
    parser.add_argument("--save", action="store_true", help="write the outputs into the notebooks")
    parser.add_argument("--solutions", action="store_true", help="run copies with the solutions in the exercises' place")
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER")
    options = parser.parse_args(argv)
    if options.save and options.solutions:
        parser.error("--save would put the solutions into the notebooks")
    try:
        paths = chapters(options.chapters)
    except ValueError as e:
        print(e, file=sys.stderr)  # noqa: T201
        return 2
    reports = []
    for path in paths:
        reports.append(execute(path, solutions=options.solutions, save=options.save, progress=_shower(path.stem)))
        print(f"\r{reports[-1]}", flush=True)  # noqa: T201
    print(f"reports: {index(reports)}")  # noqa: T201
    return 0 if all(r.ok for r in reports) else 1


def _shower(name: str) -> Progress | None:
    """A progress line that rewrites itself, on a terminal only."""
    if not sys.stdout.isatty():
        return None
    return lambda done, total: print(f"\r{name}: cell {done} of {total}", end="\x1b[K", flush=True)  # noqa: T201


@contextmanager
def _environment(solutions: bool) -> Iterator[None]:
    """The kernel inherits the mode through its environment; ours is put back."""
    before = dict(os.environ)
    os.environ.update({workspace.HEADLESS: "1", workspace.SOLUTIONS: "1" if solutions else "0"})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _first_line(error: CellExecutionError) -> str:
    """The exception, and the first line of the cell that raised it."""
    return f"{error.ename}: {str(error.evalue).strip().splitlines()[0] if error.evalue else ''}"


def _text(notebook: Any) -> str:
    """The notebook file, with the one newline at its end that git likes."""
    return str(nbformat.writes(notebook)).rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def _output_text(output: Any) -> str:
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return "".join(text) if isinstance(text, list) else str(text)


def _write_html(notebook: Any, name: str) -> Path:
    """The page, in one file: figures inside, no script from anywhere (a lab may have no network)."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="lab", require_js_url="", mathjax_url="", mermaid_js_url="", jquery_url="")  # type: ignore[no-untyped-call]
    exporter.log.setLevel(logging.ERROR)
    body, _resources = exporter.from_notebook_node(notebook, resources={"metadata": {"name": name}})
    return workspace.write_text(workspace.build_dir("report") / f"{name}.html", _describe_figures(body, notebook))


def _describe_figures(page: str, notebook: Any) -> str:
    """Give each figure its alternative text: the exporter's lab template does not carry it over from the metadata."""
    before, *rest = page.split(_NO_ALT)
    outputs = (o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {}))
    texts = [o.metadata.get("image/png", {}).get("alt", "a figure") for o in outputs]
    return before + "".join(escape(text) + part for text, part in zip(texts, rest, strict=True))


if __name__ == "__main__":
    sys.exit(main())

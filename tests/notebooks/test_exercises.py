"""For every check: the solution passes, each wrong answer fails, and an exercise left alone is "not attempted"."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from minidock.lab import checks, runner
from minidock.lab.chapter import Chapter
from minidock.lab.checks import FAIL, NOT_ATTEMPTED, PASS, evaluate
from tests.notebooks.conftest import CHAPTERS, NOTEBOOKS

pytestmark = pytest.mark.root

Wrong = Callable[[Chapter], Any]


def start(chapter: Chapter, name: str, **options: Any) -> None:
    chapter.run("busybox", ["sleep", "300"], detach=True, name=name, **options)


def sad(chapter: Chapter) -> None:
    start(chapter, "lab00-mood", environment={"MOOD": "sad"})


def moodless(chapter: Chapter) -> None:
    start(chapter, "lab00-mood")


def ended(chapter: Chapter) -> None:
    chapter.run("busybox", ["true"], detach=True, name="lab00-mood", environment={"MOOD": "curious"}).wait()


def another_log(chapter: Chapter) -> Callable[[str], Path]:
    other = chapter.run("busybox", ["echo", "other"], detach=True)
    other.wait()
    path = Path(chapter.engine.paths.root, "containers", other.id, f"{other.id}-json.log")
    assert path.exists()
    return lambda _id: path


def apart(chapter: Chapter) -> None:
    start(chapter, "lab03-owner")
    start(chapter, "lab03-guest")


def too_close(chapter: Chapter) -> None:
    start(chapter, "lab03-owner")
    start(chapter, "lab03-guest", pid_mode="container:lab03-owner", network_mode="container:lab03-owner")


def both_on_the_host(chapter: Chapter) -> None:
    start(chapter, "lab03-owner", pid_mode="host")
    start(chapter, "lab03-guest", pid_mode="host")


def misnamed(chapter: Chapter) -> None:
    start(chapter, "lab03-owner")
    pid = chapter.client.containers.get("lab03-owner").attrs["State"]["Pid"]
    subprocess.run(["nsenter", "--target", str(pid), "--uts", "hostname", "misnamed"], check=True)


def no_namespace(_chapter: Chapter) -> Callable[[list[str]], str]:
    return lambda argv: subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def hosts_proc(_chapter: Chapter) -> Callable[[list[str]], str]:
    flags = ["--pid", "--fork", "--mount", "--uts", "--ipc", "--net"]
    return lambda argv: subprocess.run(["unshare", *flags, *argv], capture_output=True, text=True, check=True).stdout


WRONG: dict[str, list[Wrong]] = {
    "00-first-pid": [lambda _: 7, lambda _: "one"],
    "00-mood": [sad, moodless, ended],
    "00-log": [lambda _: lambda _id: "/etc/passwd", another_log, lambda _: 5],
    "03-own": [lambda _: {"pid"}, lambda _: {"pid", "net", "ipc", "uts", "mnt", "user"}, lambda _: {"moon"}, lambda _: 5],
    "03-zombies": [lambda _: 0, lambda _: 8],
    "03-share": [apart, too_close, both_on_the_host],
    "03-rename": [misnamed],
    "03-uptime": [
        lambda _: lambda _days: float(Path("/proc/uptime").read_text().split()[0]),
        lambda _: lambda days: days,
        lambda _: lambda _days: "soon",
    ],
    "03-contain": [no_namespace, hosts_proc],
}
# A chapter with many of them has a file of its own.
for path in sorted(Path(__file__).parent.glob("wrong_ch*.py")):
    WRONG |= importlib.import_module(f"tests.notebooks.{path.stem}").WRONG
# Exercises that go on from where another one ended.
AFTER = {"03-rename": "03-share", "04-live": "04-small"}
CASES = [(id, wrong) for id, answers in WRONG.items() for wrong in answers]


def notebook_of(id: str) -> Any:
    return nbformat.read(next(p for p in CHAPTERS if p.name.startswith(id[:3])), as_version=4)


def chapter_of(id: str) -> str:
    return next(p.stem for p in NOTEBOOKS.glob(f"{id[:2]}-*.ipynb"))


def solve(id: str, namespace: dict[str, Any]) -> None:
    """Run a solution cell as the notebook does: after its set-up cell."""
    exec(compile(runner.solution_code(notebook_of(id))[id], f"solution of {id}", "exec"), namespace)


def prepared(id: str, chapter: Chapter) -> dict[str, Any]:
    (setup,) = (c.source for c in notebook_of(id).cells if "setup" in c.metadata.get("tags", []))
    namespace: dict[str, Any] = {"chapter": chapter, "client": chapter.client}
    exec(setup, namespace)
    return namespace


@pytest.mark.parametrize(("opened", "id"), [(chapter_of(id), id) for id in WRONG], indirect=["opened"])
def test_untouched_then_solved(opened: Chapter, id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert evaluate(id).outcome == NOT_ATTEMPTED
    namespace = prepared(id, opened)
    outcomes: list[checks.Result] = []
    if id in AFTER:
        solve(AFTER[id], namespace)
    namespace["check"] = lambda id, answer=...: outcomes.append(evaluate(id, answer))
    solve(id, namespace)
    assert [(r.id, r.outcome) for r in outcomes] == [(id, PASS)], outcomes


@pytest.mark.parametrize(("opened", "id", "wrong"), [(chapter_of(id), id, w) for id, w in CASES], indirect=["opened"])
def test_wrong_answers_fail_with_a_hint(opened: Chapter, id: str, wrong: Wrong) -> None:
    answer = wrong(opened)
    result = evaluate(id, ... if answer is None else answer)
    assert result.outcome == FAIL
    assert result.message


@pytest.mark.parametrize("opened", ["03-namespaces"], indirect=True)
@pytest.mark.parametrize("id", ["00-log", "03-uptime", "03-contain"])
def test_a_function_that_still_returns_its_placeholder(opened: Chapter, id: str) -> None:
    import minidock.lab.exercises.ch00  # noqa: F401

    assert evaluate(id, lambda *_: ...).outcome == NOT_ATTEMPTED


def test_every_check_is_here() -> None:
    for path in CHAPTERS:
        importlib.import_module(f"minidock.lab.exercises.ch{path.stem.partition('-')[0]}")
    assert {c.id for c in checks.registered() if not c.id.startswith("99")} == set(WRONG)

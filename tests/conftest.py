"""Rules for every test: what may be skipped, in what order, and what must be gone afterwards."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import closing, leaks

# CI runs the same examples each time; a developer's run looks for new ones. Neither has a deadline: beside three other workers it
# would judge them, not the code.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("new", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "new")

# The only good reasons to skip: name → (what the machine must lack, how that is seen). A skip for any other reason, or for
# one of these on a machine that does have it, is a failure.
REASONS: dict[str, Callable[[], bool]] = {
    "cgroup-v1": lambda: Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists(),
    "cgroup-v2": lambda: "memory" in _read("/sys/fs/cgroup/cgroup.controllers"),
    "apparmor": lambda: _read("/sys/module/apparmor/parameters/enabled").startswith("Y"),
    "root": lambda: os.geteuid() == 0,
    "--all": lambda: False,
}


RUN = pytest.StashKey[closing.Run]()
CLAIMED = pytest.StashKey[set[str]]()
FOLDER = pytest.StashKey[Path]()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def needs(*features: str) -> None:
    """Skip the running test when this machine lacks one of `features` (names of REASONS)."""
    for feature in features:
        if not REASONS[feature]():
            pytest.skip(f"needs: {feature}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="the long tests too: twice-in-a-row chapters, 500 containers, bench")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--all"):
        REASONS["--all"] = lambda: True
    if REASONS["root"]():
        leaks.watch_instances()
        if not hasattr(config, "workerinput"):  # the run, not one of its workers
            run = config.stash[RUN] = closing.Run()
            os.environ[closing.VARIABLE] = run.mark
            config.stash[CLAIMED] = set()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """A worker of the run has ended: what was its, is the run's to look for."""
    if CLAIMED in node.config.stash:
        node.config.stash[CLAIMED].update(getattr(node, "workeroutput", {}).get("claimed", ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The whole machine, before and after: what is left counts as an error."""
    mine = {leaks.label(), *leaks.claimed()}
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["claimed"] = sorted(mine)
    if RUN not in session.config.stash:
        return
    folders = [str(session.config.stash[FOLDER])] if FOLDER in session.config.stash else []
    left = session.config.stash[RUN].end(mine | session.config.stash[CLAIMED], folders)
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if left:
        name, text = "the whole machine, before and after", "left behind:\n  " + "\n  ".join(left)
        report = pytest.TestReport(name, ("tests", None, name), {}, "failed", text, "teardown")
        reporter.stats.setdefault("error", []).append(report)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Quick tests first; measuring tests last, when nothing else runs beside them."""
    order = ("unit", "linux", "cli", "vm", "notebooks", "browser", "bench")

    def key(item: pytest.Item) -> tuple[bool, int]:
        parts = item.path.relative_to(Path(__file__).parent).parts
        return item.get_closest_marker("measuring") is not None, order.index(parts[0]) if parts[0] in order else len(order)

    items.sort(key=key)
    if not config.getoption("--all"):
        kept = [i for i in items if i.get_closest_marker("all") is None]
        config.hook.pytest_deselected(items=[i for i in items if i not in kept])
        items[:] = kept


def pytest_collection_finish(session: pytest.Session) -> None:
    """Three thousand tests are a million objects: the collection before and after each kernel test need not look at them."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, object, None]:
    """A skip must have one of REASONS, and the reason must be true here."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    if not report.skipped or call.excinfo is None or hasattr(report, "wasxfail"):
        return
    reason = str(call.excinfo.value).removeprefix("Skipped: ")
    feature = reason.removeprefix("needs: ")
    if reason.startswith("needs: ") and feature in REASONS and not REASONS[feature]():
        return
    report.outcome = "failed"
    report.longrepr = f"skipped without a reason that holds on this machine: {reason}"


def _kernel_test(item: pytest.FixtureRequest) -> bool:
    return item.path.relative_to(Path(__file__).parent).parts[0] in ("linux", "cli", "notebooks")


@pytest.fixture(scope="session", autouse=True)
def own_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is mounted below the temporary folder of this process is this process's."""
    folder = request.config.stash[FOLDER] = tmp_path_factory.getbasetemp()
    leaks.claim_folder(folder)


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every kernel test: no mount, link, rule, cgroup, process, descriptor or file of ours that was not there before."""
    if not _kernel_test(request):
        yield
        return
    gc.collect()
    before = leaks.snapshot()
    yield
    gc.collect()
    left = leaks.settled(before)
    if left:
        pytest.fail("left behind:\n  " + "\n  ".join(left), pytrace=False)

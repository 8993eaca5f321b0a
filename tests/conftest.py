"""Rules for every test: what may be skipped, in what order, and what must be gone afterwards."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests import closing, leaks, locks

# CI runs the same examples each time; a developer's run looks for new ones. Neither has a deadline: beside other workers it
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


LOCKS = locks.Locks()
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


# `./lab test --fast`: all unit tests, and of each suite that needs the kernel one test that goes through most of it.
SMOKE = (
    "tests/cli/test_run.py::test_streams_and_exit_code",
    "tests/cli/test_commands.py::test_ps",
    "tests/linux/client/test_run.py::test_auto_remove_in_the_foreground",
    "tests/linux/daemon/test_lifecycle.py::test_the_states_of_a_life",
    "tests/linux/execdriver/test_native.py::test_many_engines_bring_up_one_zygote",
    "tests/linux/graph/test_store.py::test_a_docker_archive",
    "tests/linux/graphdriver/test_conformance.py::test_what_a_child_writes_stays_in_the_child",
    "tests/linux/lab/test_experiment.py::test_memory_to_the_page",
    "tests/linux/libcontainer/test_cgroups.py::test_a_process_is_born_inside",
    "tests/linux/libcontainer/test_container.py::test_pid_1_host_name_and_session",
    "tests/linux/linux/test_process.py::test_clone3_gives_a_pid_and_a_pidfd_of_a_real_child",
    "tests/linux/networkdriver/test_bridge.py::test_address_route_and_reach",
    "tests/linux/robust/test_kills.py::test_the_shim",
    "tests/linux/security/test_escapes.py::test_no_working_directory_leads_out",
    "tests/linux/shim/test_shim.py::test_streams_are_kept_apart",
    "tests/linux/test_leaks.py::test_a_test_sees_what_its_own_instance_leaves",
    "tests/notebooks/test_exercises.py::test_every_check_is_here",
    "tests/vm/test_run.py::test_what_is_no_machine",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("minidock", "which tests")
    group.addoption("--fast", action="store_true", help="unit tests, and a smoke test of each suite that needs the kernel")
    group.addoption("--chapters", action="store_true", help="every chapter, as committed")
    group.addoption("--all", action="store_true", help="the long tests too: every chapter in every way, 500 containers")


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


# In this order they begin: what takes longest first (a guest takes minutes; who wants to measure waits for it, and all others
# for him); the files in which something is measured last, when little else is left to run.
ORDER = ("vm", "notebooks", "browser", "linux", "cli", "unit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Which tests, and in what order."""
    dropped = [item for item in items if not _wanted(item, config)]
    config.hook.pytest_deselected(items=dropped)
    kept = [item for item in items if item not in dropped]
    measuring = {item.path for item in kept if _measuring(item)}
    items[:] = sorted(kept, key=lambda item: (item.path in measuring, _measuring(item), _place(item)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With several workers, what `_together` says stays in one."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _together(nodeid)

    config.option.loadscopereorder = False  # ours stays
    return Together(config, log)


def _together(nodeid: str) -> str:
    """What a test shares with others, by its name: with those of its file the fixtures, else a thing of which there is one."""
    file, _, test = nodeid.partition("::")
    if file.startswith("tests/browser/"):
        return "the server"
    if file.startswith("tests/linux/libcontainer/test_cgroups"):
        return "the root of the unified tree"
    chapter = re.search(r"\[(\d\d)-", test)
    return f"chapter {chapter[1]}" if chapter and file == "tests/notebooks/test_run.py" else file


def _suite(item: pytest.Item | pytest.FixtureRequest) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


def _wanted(item: pytest.Item, config: pytest.Config) -> bool:
    if config.getoption("--all"):
        return True
    if config.getoption("--fast"):
        return _suite(item) == "unit" or item.nodeid.partition("[")[0] in SMOKE
    if item.get_closest_marker("chapters") is not None and not config.getoption("--chapters"):
        return False
    return item.get_closest_marker("all") is None


def _measuring(item: pytest.Item) -> bool:
    return item.get_closest_marker("measuring") is not None


def _place(item: pytest.Item) -> int:
    suite = _suite(item)
    return ORDER.index(suite) if suite in ORDER else len(ORDER)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """A test holds the machine's locks that it wants (``tests/locks.py``) from before its fixtures to after them."""
    if not REASONS["root"]() or (_suite(item) == "unit" and not hasattr(item.config, "workerinput")):
        return (yield)  # unit tests by themselves wait for nobody
    with LOCKS.around(_only_one(item), alone=_measuring(item), after=_only_one(nextitem)):
        return (yield)


def _only_one(item: pytest.Item | None) -> frozenset[str]:
    return frozenset(name for marker in item.iter_markers("only_one") for name in marker.args) if item else frozenset()


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
    return _suite(item) in ("linux", "cli", "notebooks")


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

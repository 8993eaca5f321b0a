"""Suites in a guest: what is asked of each version of control groups, run once in a session, side by side when several."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass

import lab_vm

CGROUPS = "tests/linux/libcontainer/test_cgroups"
ENGINE = (
    "tests/linux/client/test_run.py::test_output_is_bytes_of_the_streams_asked_for",
    "tests/linux/daemon/test_limits.py::test_all_at_once",
    "tests/linux/daemon/test_limits.py::test_a_container_that_runs_out_of_memory",
    "tests/linux/daemon/test_lifecycle.py::test_exec",
    "tests/linux/daemon/test_update.py::test_at_once_on_a_running_container",
    "tests/linux/client/test_stats.py::test_the_figures_are_the_kernels",
)
# As large as a chapter's: each limit with a load that strains it, and its control; directions, and what the kernel wrote.
EXPERIMENTS = tuple(
    f"tests/linux/lab/test_experiment.py::test_{name}" for name in ("shares_on_one_core", "quota", "memory_to_the_page")
)
REPORT = "/run/report.xml"
TIMEOUT = 600.0  # seconds, for a machine that is busy with something else; it takes one or two minutes


@dataclass(frozen=True)
class Outcome:
    """How pytest ended in a guest: its status, all that it said, and the names of the tests by how they ended."""

    status: int
    text: str
    passed: frozenset[str]
    failed: frozenset[str]
    skipped: frozenset[str]


def suite_in_guest(cgroup: str, *arguments: str, before: str = "", timeout: float = TIMEOUT) -> Outcome:
    """Run pytest in a fresh guest, after the shell's line `before`.

    The report comes on stdout (the guest's files are gone with it), the text on stderr.
    """
    command = before + '\npython -m pytest -q -p no:cacheprovider --junitxml=$0 "$@" >&2; status=$?; cat $0; exit $status'
    # Without the plugins that no test in there uses: to import them takes a guest longer than to boot.
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytest_timeout", "PYTHONDONTWRITEBYTECODE": "1"}
    result = lab_vm.run(["sh", "-c", command, REPORT, *arguments], cgroup, timeout=timeout, env=env)
    return _outcome(result)


def _outcome(result: lab_vm.Result) -> Outcome:
    found: dict[str, set[str]] = {"passed": set(), "failed": set(), "skipped": set()}
    for case in _cases(result.stdout):
        ends = {child.tag for child in case}
        how = "failed" if ends & {"failure", "error"} else "skipped" if "skipped" in ends else "passed"
        found[how].add(case.get("name", ""))
    passed, failed, skipped = (frozenset(found[how]) for how in ("passed", "failed", "skipped"))
    return Outcome(result.returncode, result.stderr, passed, failed, skipped)


def _cases(report: str) -> Sequence[ElementTree.Element]:
    return list(ElementTree.fromstring(report).iter("testcase")) if report else []

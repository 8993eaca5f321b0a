from __future__ import annotations

import pytest

from minidock.libcontainer import cgroups
from tests.vm.guest import CGROUPS, ENGINE, EXPERIMENTS, Outcome, suite_in_guest

# Only the version that the host does not have is booted: its own the host tests itself. In v1's guest what counts and what
# runs is enough. One test cannot hold in there: Linux 6.1 counts a v1 cgroup's block I/O only while a throttle rule stands in
# it (seen: 0 without, all with one).
NOT_COUNTED = f"--deselect={CGROUPS}_stats.py::test_block_io_is_counted[v1]"
SUITES = {
    "v2": (*(f"{CGROUPS}{part}.py" for part in ("", "_limits", "_places", "_stats")), *ENGINE, *EXPERIMENTS, "-k", "not v1"),
    "v1": (f"{CGROUPS}_stats.py", *ENGINE, NOT_COUNTED, "-k", "not v2"),
}
MISSING = "v2" if cgroups.version() == 1 else "v1"


@pytest.fixture(scope="session")
def suite() -> tuple[str, Outcome]:
    """(version, how its suite ended) of the guest, booted at the first question."""
    return MISSING, suite_in_guest(MISSING, *SUITES[MISSING])

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.vm.guest import CGROUPS, ENGINE, Outcome, suite_in_guest

# The host runs the v1 suite itself; in its guest the files that count and limit are enough.
SUITES = {
    "v2": (*(f"{CGROUPS}{part}.py" for part in ("", "_limits", "_places", "_stats")), *ENGINE, "-k", "not v1"),
    "v1": (f"{CGROUPS}_stats.py", *ENGINE, "-k", "not v2"),
}


@pytest.fixture(scope="session")
def suites() -> Iterator[dict[str, Future[Outcome]]]:
    """Both guests, booted side by side at the first question."""
    with ThreadPoolExecutor() as pool:
        yield {version: pool.submit(suite_in_guest, version, *arguments) for version, arguments in SUITES.items()}


@pytest.fixture(params=SUITES)
def suite(request: pytest.FixtureRequest, suites: dict[str, Future[Outcome]]) -> tuple[str, Outcome]:
    """(version, how its suite ended)."""
    return request.param, suites[request.param].result()

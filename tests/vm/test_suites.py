"""The suites of control groups and of the engine pass on both versions, each in a guest of its own."""

from __future__ import annotations

import re

import pytest

from tests.vm.guest import ENGINE, EXPERIMENTS, Outcome

pytestmark = pytest.mark.timeout(700)


def test_suite(suite: tuple[str, Outcome]) -> None:
    """The engine works on the version of control groups that this machine does not have."""
    version, outcome = suite
    assert outcome.status == 0, outcome.text
    assert not outcome.failed, outcome.text
    # Green by doing nothing would be green too: the version's own tests ran, and the engine's.
    own = {name for name in outcome.passed if re.search(rf"\[{version}\b", name)}
    assert len(own) >= {"v1": 4, "v2": 40}[version], outcome.text
    wanted = (*ENGINE, *EXPERIMENTS) if version == "v2" else ENGINE
    assert {node.rpartition("::")[2] for node in wanted} <= {name.partition("[")[0] for name in outcome.passed}, outcome.text

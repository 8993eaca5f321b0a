"""The same experiment, unchanged, on a real Docker: the same counters from its cgroups, both in one figure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minidock.lab import plots_experiment, scenarios
from minidock.lab.experiment import judge
from minidock.lab.verdicts import FAIL
from tests.conftest import needs
from tests.peers import dockerd

pytestmark = pytest.mark.usefixtures("build")


@pytest.fixture(autouse=True)
def root() -> None:
    needs("root")


@pytest.mark.measuring
def test_both_engines(client: Any, busybox_tar: bytes, tmp_path: Path) -> None:
    """An experiment runs on docker too, and judges both by the same measure."""
    import docker

    wanted = replace(scenarios.shares_on_one_core(1000, 250), seconds=0.4)
    ours = judge(wanted, engine=client, progress=False, seconds=4)
    (tmp_path / "d").mkdir()
    with dockerd(tmp_path / "d") as peer:
        peer("import", "-", "busybox:latest", stdin=busybox_tar)
        theirs_client = docker.DockerClient(base_url=peer.host)
        try:
            theirs = judge(wanted, engine=theirs_client, progress=False, seconds=4)
            control = judge(wanted.without_limits(), engine=theirs_client, promise=theirs.promise, progress=False, seconds=4)
            assert theirs_client.containers.list(all=True) == []
        finally:
            theirs_client.close()
    assert {row["engine"] for row in theirs.rows} == {"docker"} and theirs.rows[0].keys() == ours.rows[0].keys()
    assert ours.verdict.outcome != FAIL and theirs.verdict.outcome != FAIL and control.verdict.outcome == FAIL
    runs = {"minidock": ours.samples, "docker": theirs.samples, "docker, without shares": control.samples}
    picture = plots_experiment.against(runs, ours.promise, title="Both engines give 4 to 1", label="CPU time (ratio)")
    assert "minidock" in repr(picture) and "docker" in repr(picture)

"""The fault list keeps up with the code: each anchor stands once in its file, each test that is named is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import Fault
from tests.faults.table import FAULTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.file}: {fault.loss}")
def test_each_fault_can_be_put_in(fault: Fault) -> None:
    assert (ROOT / "minidock" / fault.file).read_text().count(fault.old) == 1
    assert fault.new != fault.old
    for word in fault.tests.split():
        path, _, function = word.partition("::")
        text = (ROOT / path).read_text()
        assert not function or f"def {function.partition('[')[0]}(" in text


def test_there_are_enough_in_every_package() -> None:
    assert len(FAULTS) >= 100
    packages = {"/".join(fault.file.split("/")[:-1]) for fault in FAULTS}
    assert packages >= {
        *("linux", "libcontainer", "libcontainer/cgroups", "shim", "execdriver", "graphdriver", "graph", "graph/archive"),
        *("networkdriver", "daemon/base", "daemon/request", "daemon/record", "daemon/exits", "daemon/containers"),
        *("daemon/images", "client", "client/api", "cli", "cli/opts", "cli/format", "cli/grammar", "lab"),
    }
    assert {"linkgraph.py", "errors.py"} <= {fault.file for fault in FAULTS}
    assert len({(fault.file, fault.old, fault.new) for fault in FAULTS}) == len(FAULTS)

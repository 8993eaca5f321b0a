"""The lab's probes on this machine: the table agrees with the kernel, a namespace's cost is measured, trees are real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minidock.lab import measure, nscost, proctree
from minidock.lab.preflight import CONTROLLERS, NAMESPACES, preflight
from tests.conftest import needs


def test_the_table_agrees_with_the_kernel() -> None:
    needs("root")
    report = preflight(["root"])
    assert report.has("root")
    assert report.verdict().endswith("PASS")
    for name in NAMESPACES:
        assert report.has(f"namespace {name}") == Path(f"/proc/self/ns/{name}").exists()
    assert report.has("aufs") == ("aufs" in Path("/proc/filesystems").read_text().split())
    assert report.has("swap") == (len(Path("/proc/swaps").read_text().splitlines()) > 1)
    assert {f"controller {c}" for c in CONTROLLERS} <= {f.name for f in report.features}
    assert all(f.how for f in report.missing), "each missing feature says how to get it"


def test_unknown_needs_are_refused() -> None:
    with pytest.raises(ValueError, match="no such feature"):
        preflight(["namespace of the moon"])


def test_a_forbidden_namespace_is_missing() -> None:
    """The negative control: where the kernel refuses a kind of namespace, the table says so and how to get it."""
    needs("root")
    program = "from minidock.lab.preflight import preflight; r = preflight(); print(r.has('namespace user')); print(r)"
    script = f'echo 0 > /proc/sys/user/max_user_namespaces && exec "$0" -c "{program}"'
    # the limit is counted in the user namespace that it is set in: a throw-away one
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, sys.executable], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False")
    assert "sysctl -w user.max_user_namespaces" in done.stdout


def test_every_namespace_is_measured() -> None:
    needs("root")
    rows = nscost.measure(rounds=2)
    assert {r["case"] for r in rows} == set(nscost.CASES)
    assert len(rows) == 2 * len(nscost.CASES)
    assert all(0 < r["make_us"] <= r["life_us"] for r in rows)
    assert measure.medians(rows, "life_us")["none"] > 0


def test_a_process_in_a_pid_namespace_has_two_numbers() -> None:
    needs("root")
    shell = subprocess.Popen(["unshare", "--pid", "--fork", "sh", "-c", "echo; exec sleep 300"], stdout=subprocess.PIPE)
    try:
        assert shell.stdout is not None
        shell.stdout.readline()
        table = proctree.processes()
        (inner,) = [p for p in proctree.descendants(shell.pid, table) if p.inside == 1]
        host, inside = proctree.both_sides([inner.pid])
        assert [line.process.pid for line in host][-1] == inner.pid
        assert inside[0].label.endswith("  1")
    finally:
        for process in reversed(proctree.descendants(shell.pid, proctree.processes())):
            os.kill(process.pid, 9)
        shell.wait()
        if shell.stdout:
            shell.stdout.close()

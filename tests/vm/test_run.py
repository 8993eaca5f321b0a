"""lab_vm.run: what it gives back, what it refuses, and that a failure in the guest is one here."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import lab_vm
from tests.vm.guest import suite_in_guest

pytestmark = pytest.mark.timeout(300)

# One boot answers many questions.
LOOK = """
echo out; echo err >&2
stat -f -c %T /sys/fs/cgroup
uname -r; pwd; id -u; echo "${SECRET-unset} $GIVEN"
touch written-in-the-guest && ls written-in-the-guest
python -c 'import minidock, sys; print(sys.prefix)'
sleep 1000 &
exit 7
"""


def qemus() -> set[str]:
    """The machines among our children."""
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False)
    return {line for line in listed.stdout.splitlines() if "qemu-system" in line}


def folders() -> set[str]:
    """The temporary folders that bear the machines' name; others' come and go beside this test."""
    return {str(path) for top in ("/tmp", "/var/tmp") for path in Path(top).glob("minidock-vm-*")}


@pytest.fixture(autouse=True)
def no_machine_left() -> Iterator[None]:
    before = folders(), len(os.listdir("/proc/self/fd"))
    yield
    assert not qemus()
    assert (folders(), len(os.listdir("/proc/self/fd"))) == before


@pytest.mark.parametrize("version", lab_vm.CGROUPS)
def test_a_command(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command in the guest: its streams, its exit code, the checkout, and nothing of the host's environment."""
    monkeypatch.setenv("SECRET", "of the host")
    result = lab_vm.run(["sh", "-c", LOOK], version, env={"GIVEN": "here"}, timeout=200)
    assert (result.returncode, result.stderr) == (7, "err\n")
    kernel, _image, accel = lab_vm.prepare()
    kind = {"v1": "tmpfs", "v2": "cgroup2fs"}[version]
    here = str(Path(__file__).resolve().parents[2])
    words = ["out", kind, kernel.release, here, "0", "unset here", "written-in-the-guest", sys.prefix]
    assert result.stdout.splitlines() == words
    assert not Path(here, "written-in-the-guest").exists()
    assert result.accel == accel


def test_side_by_side() -> None:
    """Two at once keep apart; a command that is not there, and one that a signal ends."""
    with ThreadPoolExecutor() as pool:
        missing = pool.submit(lab_vm.run, ["no-such-command"], timeout=200)
        killed = pool.submit(lab_vm.run, ["sh", "-c", "echo $$; kill -9 $$"], timeout=200)
        assert (missing.result().returncode, missing.result().stderr) == (127, "no-such-command: No such file or directory\n")
        assert killed.result().returncode == -9


def test_time_is_up() -> None:
    started = time.monotonic()
    with pytest.raises(lab_vm.VMTimeout):
        lab_vm.run(["sleep", "1000"], timeout=2)
    assert time.monotonic() - started < 60


def test_what_is_no_machine() -> None:
    with pytest.raises(lab_vm.VMError, match="v3"):
        lab_vm.run(["true"], "v3")
    with pytest.raises(lab_vm.VMError, match="no kernel package"):
        lab_vm.run(["true"], kernel_package="bash; reboot")


def test_a_failure_in_the_guest_fails_here() -> None:
    """The negative control of everything beside: the same way, a test that does not hold."""
    test = "def test_wrong(): assert 'guest' == 'host'"
    write = f"printf '%s' {shlex.quote(test)} >/tmp/test_wrong.py"
    outcome = suite_in_guest("v2", "--noconftest", "--rootdir=/tmp", "/tmp/test_wrong.py", before=write)
    assert outcome.status == 1
    assert (outcome.failed, outcome.passed) == ({"test_wrong"}, frozenset())
    assert "'guest' == 'host'" in outcome.text

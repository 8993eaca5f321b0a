"""Who is alive is told by a lock; what the dead left is deleted, mounts and all, and what the living have is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from minidock.graphdriver.scratch import Scratch
from minidock.linux import mount

OTHER = """
import sys
from minidock.graphdriver.scratch import Scratch
scratch = Scratch.of(sys.argv[1])
print(scratch.path, flush=True)
sys.stdin.readline()
"""


def test_the_dead_are_swept_and_the_living_are_not(tmp_path: Path) -> None:
    tmp = tmp_path / "with space" / "tmp"
    mine = Scratch.of(tmp)
    kept = Path(mine.path, "kept")
    kept.touch()
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, tmp], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = Path(other.stdout.readline().strip())
        (theirs / "half/made").mkdir(parents=True)
        mount.mount("none", str(theirs / "half/made"), "tmpfs")
        (theirs / "half/made/file").touch()
        with mine.dead() as found:
            assert found == []
        assert theirs.exists()
        other.send_signal(signal.SIGKILL)
        other.wait()
    with mine.dead() as found:
        assert found == [str(theirs)]
        with Scratch(tmp).dead() as twice:  # somebody else who sweeps at the same time
            assert twice == []
    assert sorted(os.listdir(tmp)) == sorted([os.path.basename(mine.path), os.path.basename(mine.path) + ".lock"])
    kept.unlink()
    mine.close()
    assert os.listdir(tmp) == []


def test_close_leaves_what_somebody_here_still_makes(tmp_path: Path) -> None:
    scratch = Scratch.of(tmp_path)
    with scratch.directory("x") as made:
        scratch.close()
        assert made.exists()
    scratch.close()
    assert os.listdir(tmp_path) == []
    assert Path(scratch.path).exists()  # made again when needed
    scratch.close()


def test_a_fork_has_its_own(tmp_path: Path) -> None:
    scratch = Scratch.of(tmp_path)
    path = scratch.path
    pid = os.fork()
    if pid == 0:
        own = scratch.path
        scratch.close()
        os._exit(0 if own != path and os.path.exists(path) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.path.exists(path)
    with Scratch(tmp_path).dead() as found:
        assert found == []
    scratch.close()

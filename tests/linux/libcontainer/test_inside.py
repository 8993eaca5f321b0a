"""What a process in a container has of the one that started it: nothing that it could use, and nobody whom it outlives."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import traceback
from pathlib import Path
from typing import NoReturn

import pytest

from minidock.errors import StartError
from minidock.libcontainer import environment, sync
from minidock.libcontainer.container import Stdio, create
from minidock.linux import process
from tests.linux.libcontainer.box import Box, execute
from tests.linux.libcontainer.children import in_child


def _start_and_wait(box: Box, user: str, tell: int) -> NoReturn:
    """Be the one that starts a container, and tell its pid."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    container = create(box.config("sleep", "60", user=user), Stdio(null, null, null))
    container.ready()
    execute(container)
    os.write(tell, str(container.pid).encode())
    while True:
        signal.pause()


@pytest.mark.parametrize("user", ["", "ann"])
def test_a_container_dies_with_who_watches_over_it(box: Box, user: str) -> None:
    """The kernel forgets PR_SET_PDEATHSIG when a process changes its user: it must be asked again."""
    reader, writer = os.pipe()
    starter = os.fork()
    if starter == 0:
        try:
            _start_and_wait(box, user, writer)
        except BaseException:  # noqa: BLE001  the end of this process
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        pid = int(pipe.read(10))
        pidfd = process.pidfd_open(pid)
        try:
            assert select.select([pidfd], [], [], 0)[0] == []
            os.kill(starter, signal.SIGKILL)
            os.waitpid(starter, 0)
            assert select.select([pidfd], [], [], 5)[0] == [pidfd], "the container goes on alone"
        finally:
            process.end(pidfd)
            os.close(pidfd)


def test_a_session_keyring_of_its_own(box: Box) -> None:
    """The keys of the login that started it (of an encrypted home, of a Kerberos ticket) are not to be reached."""
    config = box.config("sh", "-c", "cat /proc/keys", masked_paths=())
    _code, text = box.run(config)
    assert f"_ses.{config.id}" in text, "joined, and so listed (proc_keys(5))"
    sleeper = box.config("sleep", "60", masked_paths=())
    with box.started(sleeper) as (container, _):
        named = sleeper.replace(id=os.urandom(32).hex())  # the one of the container is there already
        code, text = box.exec(named, container, "cat", "/proc/keys")
    assert code == 0 and f"_ses.{named.id}" in text


def test_a_session_and_a_process_group_of_its_own(box: Box) -> None:
    """Who ends the login session or types Ctrl-C at the terminal does not mean the container."""
    with box.started(box.config("sleep", "60")) as (container, _):
        fields = Path(f"/proc/{container.pid}/stat").read_text().rpartition(")")[2].split()
        assert [int(f) for f in fields[2:4]] == [container.pid, container.pid]
        assert os.getsid(0) != container.pid
        assert fields[4] == "0", "no controlling terminal"


def test_the_usual_umask(box: Box) -> None:
    before = os.umask(0o077)
    try:
        assert box.sh("umask; touch /made; stat -c %a /made") == "0022\n644\n"
    finally:
        os.umask(before)


def test_a_masked_directory_is_empty_and_stays_so(box: Box) -> None:
    out = box.sh("ls -A /sys/firmware; touch /sys/firmware/x || echo refused")
    assert out.splitlines()[-1] == "refused" and "Read-only file system" in out


def test_what_is_mounted_below_a_read_only_path_is_read_only_too(box: Box, tmp_path: Path) -> None:
    from minidock.libcontainer.config import Mount
    from tests.linux.libcontainer.box import MOUNTS

    below = tmp_path / "volume" / "below"
    below.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", below], check=True)
    try:
        mounts = (*MOUNTS, Mount("/data", source=str(tmp_path / "volume"), options=("rbind",)))
        probe = "touch /data/x || echo refused; touch /data/below/x || echo refused"
        assert box.sh(probe, mounts=mounts, readonly_paths=("/data",)).count("refused") == 2
        assert box.sh(probe, mounts=mounts, root=box.bind()).count("refused") == 0, "control"
    finally:
        subprocess.run(["umount", below], check=True)


def test_a_working_directory_outside_of_the_root_is_refused(tmp_path: Path) -> None:
    """However a process came to stand there: this is the last look before the command gets it (CVE-2024-21626)."""

    def stand_outside() -> str:
        os.chroot(tmp_path)  # and no chdir: we still stand in the old tree
        try:
            environment.change_directory(".", sync.Child(None, None))  # type: ignore[arg-type]
        except (StartError, FileNotFoundError):
            return "refused"
        return "let through"

    def stand_inside() -> str:
        os.chroot(tmp_path)
        environment.change_directory("/", sync.Child(None, None))  # type: ignore[arg-type]
        return os.getcwd()

    assert in_child(stand_outside) == "refused"
    assert in_child(stand_inside) == "/"

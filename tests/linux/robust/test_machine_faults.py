"""A machine that lacks something: one clear line, docker's exit code, nothing left; and once it is there again, all works."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from minidock.daemon import open_engine
from minidock.daemon.system.teardown import teardown
from minidock.linux import mount
from tests.linux.daemon.conftest import install_busybox
from tests.linux.robust import remains

MINIDOCK = str(Path(sys.executable).parent / "minidock")
Result = subprocess.CompletedProcess[str]


class Machine:
    """The command on an instance of its own."""

    def __init__(self, root: Path, tar: bytes) -> None:
        self.root = root
        with open_engine(root) as engine:
            install_busybox(engine, tar)

    def __call__(self, *args: str, lacking: str = "true", prepare: Callable[[], None] | None = None, **env: str) -> Result:
        """Call it in a mount namespace of its own, after the shell command `lacking`."""
        script = f'{lacking} && exec {MINIDOCK} "$@"'
        return subprocess.run(
            ["/usr/bin/unshare", "-m", "/bin/sh", "-c", script, "sh", *args],
            env={**os.environ, "MINIDOCK_ROOT": str(self.root), **env},
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=prepare,
            check=False,
        )

    def run(self, *options: str, lacking: str = "true", **env: str) -> Result:
        return self("run", "--rm", *options, "busybox", "echo", "hello", lacking=lacking, **env)

    def look(self) -> remains.Remains:
        with open_engine(self.root) as engine:
            return remains.look(engine)


@pytest.fixture
def machine(tmp_path: Path, busybox_tar: bytes) -> Iterator[Machine]:
    root = tmp_path / "root"
    try:
        yield Machine(root, busybox_tar)
    finally:
        teardown(root)


def refused(result: Result, code: int, *words: str) -> None:
    """One line for the user, with these words in it, and nothing of Python's."""
    assert result.returncode == code, result
    assert result.stdout == "", result
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("See 'minidock", "Run 'minidock")) and line]
    assert len(lines) == 1, result
    assert "Traceback" not in lines[0] and "internal error" not in lines[0], lines
    for word in words:
        assert word in lines[0].lower(), (word, lines)


def works(result: Result) -> None:
    assert (result.returncode, result.stdout, result.stderr) == (0, "hello\n", ""), result


@contextmanager
def mounted(path: Path, type: str, options: str) -> Iterator[None]:
    path.mkdir()
    mount.mount(type, str(path), type, 0, options)
    try:
        yield
    finally:
        mount.umount(str(path), mount.MNT_DETACH)


def fill(folder: Path, name: str = "filler") -> Path:
    """A file that takes all the space there is."""
    path = folder / name
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(bytes(size)) == size:
                    continue
            except OSError:
                continue
    return path


def test_a_full_disk(tmp_path: Path, busybox_tar: bytes) -> None:
    with mounted(tmp_path / "disk", "tmpfs", "size=160m"):
        root = tmp_path / "disk" / "root"
        try:
            machine = Machine(root, busybox_tar)
            works(machine.run("--net=none"))
            started = machine("run", "-d", "--net=none", "busybox", "sh", "-c", "read x < /dev/zero")
            assert started.returncode == 0, started
            before = machine.look()
            filler = fill(tmp_path / "disk")
            assert machine("ps", "-q").returncode == 0, "there is a reserve, to look and to remove"
            more = fill(tmp_path / "disk", "more")
            refused(machine.run("--net=none"), 125, "no space left on device")
            refused(machine("create", "busybox", "true"), 1, "no space left on device")
            archive = tmp_path / "archive.tar"
            archive.write_bytes(busybox_tar)
            refused(machine("import", str(archive), "other"), 1, "no space left on device")
            filler.unlink()
            more.unlink()
            assert remains.settled(root, before) == []
            works(machine.run("--net=none"))
            # what runs can be ended and removed while the disk is full
            filler = fill(tmp_path / "disk")
            gone = machine("rm", "-f", started.stdout.strip())
            assert (gone.returncode, gone.stderr) == (0, ""), gone
            filler.unlink()
        finally:
            teardown(root)


def test_a_log_that_finds_no_room(tmp_path: Path, busybox_tar: bytes) -> None:
    """The container goes on to its own end; its exit tells how many entries were lost."""
    with mounted(tmp_path / "disk", "tmpfs", "size=160m"):
        root = tmp_path / "disk" / "root"
        try:
            machine = Machine(root, busybox_tar)
            works(machine.run("--net=none"))
            filler = fill(tmp_path / "disk")
            os.truncate(filler, filler.stat().st_size - (4 << 20))
            result = machine("run", "--name", "chatty", "--net=none", "busybox", "sh", "-c", "seq 1000000; exit 4")
            assert result.returncode == 4
            assert result.stdout.splitlines()[-1] == "1000000", "who is attached gets all of it"
            found = machine("inspect", "-f", "{{.State.ExitCode}} {{.State.Error}}", "chatty").stdout
            assert found.startswith("4 log: ") and "no space left on device" in found
            assert machine("rm", "chatty").returncode == 0
        finally:
            teardown(root)


def test_a_read_only_state_directory(machine: Machine) -> None:
    works(machine.run("--net=none"))
    before = machine.look()
    lacking = f"mount --bind {machine.root} {machine.root} && mount -o remount,bind,ro {machine.root}"
    refused(machine.run("--net=none", lacking=lacking), 125, "read-only")
    refused(machine("create", "busybox", "true", lacking=lacking), 1, "read-only")
    refused(machine("rmi", "busybox", lacking=lacking), 1, "read-only")
    assert remains.settled(machine.root, before) == []
    works(machine.run("--net=none"))


def test_no_iptables(machine: Machine, tmp_path: Path) -> None:
    """Without iptables a run says what is missing, and leaves no half-made network."""
    works(machine.run("--net=none"))
    before = machine.look()
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    refused(machine.run(PATH=str(tools)), 125, "iptables")
    assert remains.settled(machine.root, before) == []
    works(machine.run("--net=none", PATH=str(tools)))
    works(machine.run())


def test_no_freezer(machine: Machine) -> None:
    """A container runs without; what cannot be done then is `pause`."""
    lacking = "umount /sys/fs/cgroup/freezer"
    id = machine("run", "-d", "--net=none", "busybox", "sleep", "1000", lacking=lacking).stdout.strip()
    refused(machine("pause", id, lacking=lacking), 1, "freezer")
    assert machine("rm", "-f", id, lacking=lacking).returncode == 0


def test_no_cgroups_at_all(machine: Machine) -> None:
    before = machine.look()
    refused(machine.run("--net=none", lacking="umount -l -R /sys/fs/cgroup"), 125, "cgroup")
    assert remains.settled(machine.root, before) == []


def test_no_overlay(tmp_path: Path, busybox_tar: bytes) -> None:
    """On a file system that cannot be overlaid (an overlay itself) vfs does the work; asked for overlay: one line."""
    lower, upper, work, merged = (tmp_path / name for name in ("lower", "upper", "work", "merged"))
    for folder in (lower, upper, work):
        folder.mkdir()
    with mounted(merged, "overlay", f"lowerdir={lower},upperdir={upper},workdir={work}"):
        root = merged / "root"
        try:
            machine = Machine(root, busybox_tar)
            works(machine.run("--net=none"))
            assert machine("info", "-f", "{{.Driver}}").stdout.strip() == "vfs"
        finally:
            teardown(root)


def limit(megabytes: int) -> Callable[[], None]:
    def apply() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))

    return apply


def test_no_memory_for_the_engine(machine: Machine) -> None:
    """The command, given less and less room: it works, or fails with one line; never a traceback, never something left."""
    works(machine.run("--net=none"))
    before = machine.look()
    failures = 0
    for megabytes in (*range(80, 48, -8), *range(48, 25, -1)):
        result = machine("run", "--rm", "--net=none", "busybox", "echo", "hello", prepare=limit(megabytes))
        if result.returncode == 0:
            works(result)
            continue
        failures += 1
        refused(result, 125, "memory")
    assert failures
    assert remains.settled(machine.root, before) == []


@pytest.mark.skipif(not Path("/sys/fs/cgroup/memory").exists(), reason="needs: cgroup-v1")
def test_no_memory_for_the_instance(machine: Machine) -> None:
    """The instance's own ceiling is reached: whoever is killed, one line says so, and with room all works again."""
    works(machine.run("--net=none"))
    with open_engine(machine.root) as engine:
        group = Path("/sys/fs/cgroup/memory") / engine.paths.instance
    before = machine.look()
    ceiling = (group / "memory.limit_in_bytes").read_text()
    used = int((group / "memory.usage_in_bytes").read_text())
    (group / "memory.limit_in_bytes").write_text(str(used + (64 << 10)))
    try:
        result = machine.run("--net=none")
        if result.returncode == 0:
            works(result)
        else:
            refused(result, result.returncode)
    finally:
        (group / "memory.limit_in_bytes").write_text(ceiling)
    assert remains.settled(machine.root, before) == []
    works(machine.run("--net=none"))


def test_the_tools_are_there() -> None:
    """Control: what these tests take away is there on this machine."""
    assert shutil.which("iptables") and Path("/usr/bin/unshare").exists()

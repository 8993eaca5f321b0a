"""The leak checks themselves: each kind of thing that a test can leave is seen, with its label and without."""

from __future__ import annotations

import os
import secrets
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests import closing, leaks
from tests.conftest import needs

HIERARCHY = next(p for p in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")) if (p / "cgroup.procs").exists())
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def root() -> None:
    needs("root")


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


# Each leaves one thing that is called `name` or lies below `folder`, says how to take it away, and returns a part of its text.


def mount(undo: ExitStack, name: str, folder: Path) -> str:
    point = folder / "point"
    point.mkdir()
    undo.callback(run, "umount", point)
    run("mount", "-t", "tmpfs", "none", point)
    return str(point)


def link(undo: ExitStack, name: str, folder: Path) -> str:
    bridge = name.replace("minidock-", "md-")[:15]
    undo.callback(run, "ip", "link", "delete", bridge)
    run("ip", "link", "add", bridge, "type", "bridge")
    return bridge


def veth(undo: ExitStack, name: str, folder: Path) -> str:
    bridge, end = link(undo, name, folder), f"v{secrets.token_hex(4)}"
    run("ip", "link", "add", end, "type", "veth", "peer", "name", f"{end}x")
    if bridge.startswith("md-"):
        run("ip", "link", "set", end, "master", bridge)
    undo.callback(run, "ip", "link", "delete", end)
    return end


def rule(undo: ExitStack, name: str, folder: Path) -> str:
    chain = name.upper()
    undo.callback(run, "iptables", "-w", "-X", chain)
    run("iptables", "-w", "-N", chain)
    undo.callback(run, "iptables", "-w", "-F", chain)
    run("iptables", "-w", "-A", chain, "-s", "127.99.0.1", "-j", "ACCEPT")
    return f"-A {chain}"


def cgroup(undo: ExitStack, name: str, folder: Path) -> str:
    made = HIERARCHY / name / "inner"
    undo.callback(made.parent.rmdir)
    undo.callback(made.rmdir)
    made.mkdir(parents=True)
    return str(made)


def process(undo: ExitStack, name: str, folder: Path) -> str:
    """In the cgroup, and nobody's child: its parent is gone, and our pipe to it is how it is told to end."""
    group = cgroup(undo, name, folder)
    theirs, ours = os.pipe()
    orphan = f"echo $$ >{group}/cgroup.procs; exec 3<&0; cat <&3 >/dev/null 2>&1 & echo $!"
    child = subprocess.run(["sh", "-c", orphan], stdin=theirs, stdout=subprocess.PIPE, check=True)
    os.close(theirs)
    pid = int(child.stdout)
    pidfd = os.pidfd_open(pid)

    def end() -> None:
        os.close(ours)
        select.select([pidfd], [], [])
        os.close(pidfd)

    undo.callback(end)
    return f"{pid} cat"


def run_folder(undo: ExitStack, name: str, folder: Path) -> str:
    made = Path("/run", name)
    undo.callback(made.rmdir)
    made.mkdir()
    return str(made)


def netns(undo: ExitStack, name: str, folder: Path) -> str:
    undo.callback(run, "ip", "netns", "delete", name)
    run("ip", "netns", "add", name)
    return f"/run/netns/{name}"


def loop(undo: ExitStack, name: str, folder: Path) -> str:
    disk = folder / "disk"
    disk.write_bytes(bytes(1 << 20))
    device = subprocess.run(["losetup", "--find", "--show", disk], check=True, capture_output=True, text=True).stdout.strip()
    undo.callback(run, "losetup", "--detach", device)
    return f"{device} {disk}"


def child(undo: ExitStack, name: str, folder: Path) -> str:
    made = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    undo.callback(made.communicate)
    return f"{made.pid} cat"


def descriptor(undo: ExitStack, name: str, folder: Path) -> str:
    fd = os.open(folder, os.O_RDONLY)
    undo.callback(os.close, fd)
    return str(folder)


Leave = Callable[[ExitStack, str, Path], str]
LASTING: tuple[Leave, ...] = (mount, link, veth, rule, cgroup, process, run_folder, netns, loop)


@pytest.fixture
def instance() -> str:
    """An instance's name, claimed for this process."""
    return leaks.claim(f"minidock-{secrets.token_hex(4)}")


def settles(undo: ExitStack, look: Callable[[], object]) -> None:
    """What the test has made is gone when it ends; the kernel may need a moment."""
    undo.close()
    deadline = time.monotonic() + leaks.PATIENCE
    while look():
        assert time.monotonic() < deadline, look()
        time.sleep(0.02)


@pytest.mark.parametrize("leave", [*LASTING, child, descriptor], ids=lambda leave: leave.__name__)
def test_a_test_sees_what_its_own_instance_leaves(leave: Leave, instance: str, tmp_path: Path) -> None:
    name = f"{leaks.label()}-x" if leave is netns else instance
    before = leaks.snapshot()
    with ExitStack() as undo:
        text = leave(undo, name, tmp_path)
        left = leaks.settled(before, patience=0.05)
        assert any(text in line for line in left), left
        settles(undo, lambda: leaks.snapshot() - before)


@pytest.mark.parametrize("leave", LASTING, ids=lambda leave: leave.__name__)
def test_a_test_does_not_see_what_another_process_has(leave: Leave, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests of another worker or checkout come and go beside it."""
    name, before = f"minidock-{secrets.token_hex(4)}", leaks.snapshot()
    with elsewhere() as folder, ExitStack() as undo:
        text = leave(undo, name, folder)
        assert [line for line in leaks.settled(before, patience=0) if not line.startswith("descriptor")] == []
        settles(undo, lambda: any(text in item.text for item in leaks.everything()))


@contextmanager
def elsewhere() -> Iterator[Path]:
    """A folder that is nobody's."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.mark.parametrize("leave", [leave for leave in LASTING if leave is not run_folder], ids=lambda leave: leave.__name__)
def test_the_closing_comparison_sees_what_has_no_label(leave: Leave, tmp_path: Path) -> None:
    name = f"lost-{secrets.token_hex(4)}"
    first = closing.Run(tmp_path)
    second = closing.Run(tmp_path)
    with elsewhere() as folder, ExitStack() as undo:
        text = leave(undo, name, folder)
        assert not [line for line in first.end((), patience=0.05) if text in line]  # another run goes on: the last one compares
        left = second.end((), patience=0.05)
        if leave is process:  # a process is known by its cgroup, which is lost, or by what it has in its environment
            text = name
        assert any(text in line for line in left), left
        settles(undo, lambda: any(text in item.text for item in leaks.everything()))
    third = closing.Run(tmp_path)
    assert not [line for line in third.end((), patience=0.05) if text in line]


def test_the_closing_comparison_sees_what_its_instances_left(instance: str, tmp_path: Path) -> None:
    """Also while another run goes on; what another run's instance has is that one's."""
    mine, other = closing.Run(tmp_path), closing.Run(tmp_path)
    theirs = f"minidock-{secrets.token_hex(4)}"
    with ExitStack() as undo:
        text, foreign = cgroup(undo, instance, tmp_path), cgroup(undo, theirs, tmp_path)
        left = mine.end([instance], patience=0.05)
        assert any(text in line for line in left) and not any(foreign in line for line in left)
    assert not any(foreign in line for line in other.end([theirs], patience=0.05))


def test_a_process_that_ran_away_is_seen_by_its_environment(tmp_path: Path) -> None:
    mine = closing.Run(tmp_path)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, env={closing.VARIABLE: mine.mark}) as runaway:
        left = mine.end((), patience=0.05)
        runaway.communicate()
    assert f"process: {runaway.pid} cat" in left


def test_a_run_that_was_killed_hinders_nobody(tmp_path: Path) -> None:
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import os; from tests import closing; closing.Run(closing.Path({str(tmp_path)!r})); os._exit(9)",
        ],
        cwd=CHECKOUT,
        check=False,
    )
    assert killed.returncode == 9 and len(list(tmp_path.glob("*.run"))) == 1
    run = closing.Run(tmp_path)
    assert len(list(tmp_path.glob("*.run"))) == 1
    run.end((), patience=0)


def test_a_run_that_leaves_something_fails(tmp_path: Path) -> None:
    """The whole of it: pytest with our conftest ends with an error that names the cgroup."""
    made = HIERARCHY / f"lost-{secrets.token_hex(4)}"
    file = CHECKOUT / "tests/linux" / f"test_{made.name.replace('-', '_')}.py"
    try:
        file.write_text(f"def test_green() -> None:\n    import os\n    os.mkdir({str(made)!r})\n")
        # a registry of its own: the runs that go on here must not keep it from being the last
        command = f"import sys, pytest; from tests import closing; closing.FOLDER = closing.Path({str(tmp_path)!r}); " \
            f"sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {str(file)!r}]))"  # fmt: skip
        done = subprocess.run([sys.executable, "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    finally:
        file.unlink(missing_ok=True)
        made.rmdir()
    assert done.returncode == 1, done.stdout
    assert f"cgroup: {made}" in done.stdout and "1 passed, 1 error" in done.stdout

"""The driver's own part: bringing up zygotes, versions, errors in its words, and how small it is."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minidock import errors
from minidock.execdriver import ExecDriver, Running
from minidock.execdriver.native import Native
from minidock.libcontainer import cgroups
from minidock.linux import executable
from minidock.shim import protocol
from tests.linux.shim.instance import Instance, parent_of, wait_until_gone


@pytest.fixture
def own(tmp_path: Path):
    """An instance of this test's own, without a zygote yet."""
    made = Instance(tmp_path / "i")
    yield made
    made.close()


def uss(pid: int) -> int:
    """Unique set size in KiB: what would be free if just this process ended (proc_pid_smaps(5))."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))


def test_is_an_exec_driver(instance: Instance) -> None:
    driver: ExecDriver = instance.driver
    c = instance.container("true")
    running: Running = driver.start(c.config, c.shim)
    assert running.wait(10).code == 0
    assert running.wait(0).code == 0, "repeatable"
    running.release()
    running.close()


def test_many_engines_bring_up_one_zygote(own: Instance) -> None:
    containers = [own.container("true") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda c: Native(own.run_dir, own.name).start(c.config, c.shim), containers))
    assert [process.wait(20).code for process in started] == [0] * 8
    for process in started:
        process.release()
    assert len(own.driver.versions()) == 1


def test_another_version_is_another_zygote(own: Instance, monkeypatch) -> None:
    assert own.container("true").run() == 0
    (first,) = own.driver.versions()
    monkeypatch.setattr("minidock.execdriver.native.version", lambda: "another")
    other = Native(own.run_dir, own.name)
    c = own.container("true")
    with other.start(c.config, c.shim) as process:
        assert process.wait(10).code == 0
        process.release()
    assert own.driver.versions().keys() == {first, "another"}


def test_stopping_zygotes_leaves_containers_alone(own: Instance) -> None:
    c = own.container("sleep", "1000")
    with c.start() as process:
        zygotes = list(own.driver.versions().values())
        own.driver.stop_zygote()
        wait_until_gone(zygotes)
        assert own.driver.versions() == {} and not list(own.run_dir.glob("*.sock"))
        os.kill(process.started.pid, signal.SIGKILL)
        assert process.wait(10).code == 137
        process.release()


def test_a_stale_socket_gives_way(own: Instance) -> None:
    assert own.container("true").run() == 0
    (zygote,) = own.driver.versions().values()
    os.kill(zygote, signal.SIGKILL)
    wait_until_gone(own.shims())
    assert list(own.run_dir.glob("zygote-*.sock"))
    assert own.container("true").run() == 0


def test_a_zygote_that_cannot_start(tmp_path: Path) -> None:
    driver = Native(tmp_path / "run", "minidock-never", python="/bin/false")
    with pytest.raises(errors.SystemFault, match=r"start the zygote .*zygote\.log"):
        driver._zygote()


def test_the_zygote_outlives_the_engine_that_started_it(own: Instance) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            own.container("true").run()
        finally:
            os.kill(0, signal.SIGKILL)
    os.waitpid(pid, 0)
    (zygote,) = own.driver.versions().values()
    assert os.getsid(zygote) != pid and own.container("true").run() == 0
    assert zygote in own.driver.versions().values()


def test_a_lost_shim_is_a_fault(own: Instance) -> None:
    c = own.container("sleep", "1000")

    def kill(pid: int) -> None:
        for child in own.shims():
            if Path(f"/proc/{child}/comm").read_text() == "minidock-start\n":
                os.kill(child, signal.SIGKILL)

    with pytest.raises(errors.SystemFault, match="the shim ended without a word"):
        c.start(on_created=kill)
    wait_until_gone(cgroups.manager(c.config.cgroup.path).pids())
    cgroups.manager(c.config.cgroup.path).remove()
    if os.path.exists(c.socket):
        os.unlink(c.socket)


def test_asking_the_gone(instance: Instance) -> None:
    c = instance.container("true")
    c.run()
    assert instance.driver.wait(c.socket) is None and instance.driver.own(c.socket) is None
    with pytest.raises(errors.Unavailable):
        instance.driver.attach(c.socket, stdin=False, stdout=True, stderr=True)


def test_unknown_ops(instance: Instance) -> None:
    """A word that zygote or shim does not know (another version's) is an answer, and neither dies of it."""
    c = instance.container("sleep", "1000")
    with c.start() as process:
        for path in (c.socket, str(next(instance.run_dir.glob("zygote-*.sock")))):
            with socket.socket(socket.AF_UNIX) as sock, protocol.address(path) as address:
                sock.connect(address)
                protocol.send(sock, {"op": "dance"})
                assert protocol.receive(sock)[0] == {"error": "unknown op 'dance'"}
        os.kill(process.started.pid, signal.SIGKILL)
        process.wait(10)
        process.release()


@pytest.mark.parametrize("count", [1, 20])
def test_a_shim_owns_less_than_two_megabytes(own: Instance, count: int) -> None:
    """With the zygote alive, and with it gone; the keeper is what makes the second true."""
    processes = [own.container("sleep", "1000").start() for _ in range(count)]
    zygotes = list(own.driver.versions().values())
    shims = [parent_of(process.started.pid) for process in processes]
    alive = [uss(pid) for pid in shims]
    for zygote in zygotes:
        os.kill(zygote, signal.SIGKILL)
    wait_until_gone(zygotes)
    gone = [uss(pid) for pid in shims]
    for process in processes:
        os.kill(process.started.pid, signal.SIGKILL)
        process.wait(10)
        process.release()
    wait_until_gone(own.shims())  # the keeper ends with the last of them
    assert max(alive) <= 2048 and max(gone) <= 2048, (alive, gone)


def test_protected_executable(tmp_path: Path) -> None:
    """What was executed from a protected descriptor can never be written to through /proc/PID/exe; a plain one can."""
    program = tmp_path / "program"
    shutil.copy("/bin/busybox", program)
    fd = executable.protected(str(program))
    copy = executable._sealed_copy(str(program))
    outcomes = []
    for path in (str(program), f"/proc/self/fd/{fd}", f"/proc/self/fd/{copy}"):
        pid = os.posix_spawn(path, ["sleep", "1000"], {})
        seen = os.open(f"/proc/{pid}/exe", os.O_RDONLY)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        try:
            writer = os.open(f"/proc/self/fd/{seen}", os.O_WRONLY)
            with os.fdopen(writer, "wb", buffering=0) as file:
                file.write(b"\x7f")  # what is there already
            outcomes.append("writable")
        except OSError as e:
            outcomes.append(os.strerror(e.errno))
        os.close(seen)
    os.close(fd)
    os.close(copy)
    assert outcomes == ["writable", "Read-only file system", "Operation not permitted"]

"""Real containers under real shims: exit codes, logs, attach, owners, after-exit, and who may be killed when."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from minidock import errors
from minidock.libcontainer import cgroups, config
from minidock.shim import protocol
from minidock.shim.protocol import LogConfig
from tests.linux.shim.instance import Container, Instance, everything, frames, parent_of, read_until, wait_until_gone


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("true",), 0),
        (("false",), 1),
        (("sh", "-c", "exit 42"), 42),
        (("sh", "-c", "kill -TERM $$; exit 3"), 3),  # pid 1 is not killed by a signal of its own namespace
    ],
)
def test_exit_codes(instance: Instance, command, code) -> None:
    """The code that a program ended with is what is written down, also for signals and for what could not be started."""
    c = instance.container(*command)
    assert c.run() == code
    assert json.loads((c.folder / "exit.json").read_text()) | {"finished_at": ""} == {
        "run": 1,
        "code": code,
        "oom_killed": False,
        "error": "",
        "finished_at": "",
    }
    assert c.left() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_killed_by_a_signal(instance: Instance, number) -> None:
    c = instance.container("sh", "-c", f"trap - {number.value}; sleep 1000", namespaces=config.Namespaces(pid="host"))
    with c.start() as process:
        os.kill(process.started.pid, number)
        assert process.wait(10).code == 128 + number
        process.release()


@pytest.mark.parametrize(
    ("command", "kind", "code"),
    [("nothing-there", errors.CommandNotFound, 127), ("/bin/not-executable", errors.CommandNotExecutable, 126)],
)
def test_a_command_that_cannot_be(instance: Instance, command, kind, code) -> None:
    c = instance.container(command)
    with pytest.raises(kind) as raised:
        c.start()
    assert raised.value.exit_code == code
    assert c.left() == [] and not (c.folder / "run.json").exists()


def test_what_is_said_while_it_runs(instance: Instance) -> None:
    c = instance.container("sleep", "1000")
    with c.start() as process:
        run = json.loads((c.folder / "run.json").read_text())
        assert run["pid"] == process.started.pid and run["pid_start"] == process.started.pid_start
        assert parent_of(run["pid"]) == run["shim_pid"]
        assert Path(f"/proc/{run['shim_pid']}/comm").read_text() == "minidock-shim\n"
        assert run["shim_pid"] in instance.shims() and run["pid"] in cgroups.manager(c.config.cgroup.path).pids()
        with pytest.raises(TimeoutError):
            process.wait(0)
        os.kill(run["pid"], signal.SIGKILL)
        assert process.wait(10).code == 137
        process.release()
        wait_until_gone([run["shim_pid"]])


def test_shims_leave_every_session_and_cgroup(instance: Instance) -> None:
    with instance.container("sleep", "1000").start() as process:
        shim = parent_of(process.started.pid)
        (zygote,) = instance.driver.versions().values()
        groups = Path(f"/proc/{shim}/cgroup").read_text()
        assert f"name=systemd:/{instance.name}/shims\n" in groups or f"0::/{instance.name}/shims\n" in groups
        assert groups == Path(f"/proc/{zygote}/cgroup").read_text()
        assert os.getsid(shim) == shim
        targets = {os.readlink(f"/proc/{shim}/fd/{fd}") for fd in os.listdir(f"/proc/{shim}/fd")}
        assert not [t for t in targets if t.startswith("/") and str(instance.folder) not in t and t != "/dev/null"], targets
        os.kill(process.started.pid, signal.SIGKILL)
        process.wait(10)
        process.release()


def test_the_executable_cannot_be_opened_for_writing(instance: Instance) -> None:
    """CVE-2019-5736, from the strongest place there is: the host's own root."""
    with instance.container("sleep", "1000").start() as process:
        shim = parent_of(process.started.pid)
        for pid in [shim, *instance.driver.versions().values()]:
            assert os.statvfs(f"/proc/{pid}/exe").f_flag & os.ST_RDONLY
            assert os.stat(f"/proc/{pid}/exe").st_ino == os.stat(os.path.realpath(sys.executable)).st_ino
        os.kill(process.started.pid, signal.SIGKILL)
        process.wait(10)
        process.release()


def test_oom_is_seen(instance: Instance) -> None:
    limits = (("memory.limit_in_bytes", str(16 << 20)),) if cgroups.version() == 1 else (("memory.max", str(16 << 20)),)
    c = instance.container("sh", "-c", "x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done", settings=limits)
    with c.start() as process:
        exit_ = process.wait(30)
        process.release()
    assert exit_.oom_killed and exit_.code == 137


# -- output


def test_streams_are_kept_apart(instance: Instance) -> None:
    c = instance.container("sh", "-c", "echo out; echo err >&2; printf end")
    assert c.run() == 0
    assert c.logged() == "out\nend" and c.logged("stderr") == "err\n"


def test_a_hundred_thousand_lines_in_order_through_rotation(instance: Instance) -> None:
    c = instance.container(
        "seq", "1", "100000", log=LogConfig(path=str(instance.folder / "rotated"), max_size=1 << 20, max_file=99)
    )
    assert c.run() == 0
    names = sorted(instance.folder.glob("rotated*"), key=lambda p: -int(p.suffix[1:] or 0))
    lines = [json.loads(line)["log"] for name in names for line in name.read_text().splitlines()]
    for name in names:
        name.unlink()
    assert len(names) > 5 and lines == [f"{i}\n" for i in range(1, 100001)]


def test_attached_from_before_the_first_byte(instance: Instance) -> None:
    ours, theirs = socket.socketpair()
    c = instance.container("sh", "-c", "echo first; echo problem >&2")
    with c.start(attach=theirs) as process:
        assert frames(ours) == {1: b"first\n", 2: b"problem\n"}
        assert process.wait(10).code == 0
        process.release()


def test_stdin_and_its_end(instance: Instance) -> None:
    ours, theirs = socket.socketpair()
    c = instance.container("sh", "-c", "cat; echo done", open_stdin=True, stdin_once=True)
    with c.start(attach=theirs) as process:
        ours.sendall(b"hello\n" * 20000)
        ours.shutdown(socket.SHUT_WR)
        assert frames(ours)[1] == b"hello\n" * 20000 + b"done\n"
        assert process.wait(10).code == 0
        process.release()


def test_several_attach_and_leave(instance: Instance) -> None:
    c = instance.container("cat", open_stdin=True)
    with c.start() as process:
        one = instance.driver.attach(c.socket, stdin=True, stdout=True, stderr=True)
        two = instance.driver.attach(c.socket, stdin=True, stdout=True, stderr=False)
        one.sendall(b"a\n")
        assert read_until(two, b"a\n") == protocol.frame(1, b"a\n")
        two.close()
        one.sendall(b"b\n")
        read_until(one, b"b\n")
        one.close()
        os.kill(process.started.pid, signal.SIGKILL)
        process.wait(10)
        process.release()
    assert c.logged() == "a\nb\n"


def test_terminal(instance: Instance) -> None:
    """A terminal through the shim: typed, shown, resized."""
    c = instance.container("sh", tty=True, open_stdin=True, stdin_once=True)
    with c.start() as process:
        terminal = instance.driver.attach(c.socket, stdin=True, stdout=True, stderr=True)
        terminal.sendall(b"tty; stty size\n")
        assert b"/dev/pts/0" in read_until(terminal, b"24 80")
        instance.driver.resize(c.socket, 40, 132)
        terminal.sendall(b"stty size\n")
        read_until(terminal, b"40 132")
        terminal.sendall(b"echo sta''ying\x10")
        terminal.sendall(b"\x11")
        everything(terminal)  # detached: the stream ends, the container does not
        terminal = instance.driver.attach(c.socket, stdin=True, stdout=True, stderr=True, detach_keys="x,y")
        terminal.sendall(b"\nexit 7\n")
        assert b"staying" in everything(terminal)
        assert process.wait(10).code == 7
        process.release()


def test_bad_detach_keys_and_no_terminal(instance: Instance) -> None:
    c = instance.container("sleep", "1000", tty=True)
    with c.start() as process:
        with pytest.raises(errors.InvalidParameter, match=r"Invalid detach keys \(ctrl-P\) provided"):
            instance.driver.attach(c.socket, stdin=False, stdout=True, stderr=True, detach_keys="ctrl-P")
        os.kill(process.started.pid, signal.SIGKILL)
        process.wait(10)
        process.release()
    with pytest.raises(errors.Unavailable):
        instance.driver.resize(c.socket, 1, 1)


def test_a_stuck_client_stalls_its_own_container_only(instance: Instance) -> None:
    ours, theirs = socket.socketpair()
    c = instance.container("sh", "-c", "yes 0123456789012345678901234567890123456789 | head -n 200000")
    with c.start(attach=theirs) as process:
        assert instance.container("true").run() == 0
        with pytest.raises(TimeoutError):
            process.wait(0.3)
        got = frames(ours)[1]
        assert process.wait(10).code == 0
        process.release()
    assert got.count(b"\n") == 200000 and c.logged() == got.decode()


def test_a_stuck_client_does_not_hold_back_the_exit(instance: Instance) -> None:
    ours, theirs = socket.socketpair()
    c = instance.container("sh", "-c", "yes | head -c 600000")
    with c.start(attach=theirs) as process:
        assert process.wait(10).code == 0
        process.release()
    assert len(frames(ours)[1]) == 600000


def test_no_room_for_the_log_is_not_the_containers_trouble(instance: Instance) -> None:
    c = instance.container("sh", "-c", "echo lost; exit 5", log=LogConfig(path="/dev/full"))
    with c.start() as process:
        exit_ = process.wait(10)
        process.release()
    assert exit_.code == 5 and exit_.error == "log: 1 entries lost: no space left on device"


def test_what_got_away_does_not_hold_back_the_exit(instance: Instance) -> None:
    c = instance.container("sleep", "1000")
    with c.start() as process:
        child, _ = c.exec(process, "sh", "-c", "echo now; sleep 1000 &")
        with child:
            assert child.wait(10).code == 0
            child.release()
        os.kill(process.started.pid, signal.SIGKILL)
        process.wait(10)
        process.release()


def test_host_pid_namespace_leaves_nothing(instance: Instance) -> None:
    c = instance.container("sh", "-c", "sleep 1000 & echo $!", namespaces=config.Namespaces(pid="host"))
    assert c.run() == 0
    wait_until_gone([int(c.logged())])
    assert c.left() == []


# -- exec


def test_exec(instance: Instance) -> None:
    """A second process in a container, with its own streams and exit code."""
    c = instance.container("sleep", "1000")
    with c.start() as process:
        ours, theirs = socket.socketpair()
        child, shim = c.exec(
            process, "sh", "-c", "cat; ps | grep -c slee[p]; exit 9", attach=theirs, open_stdin=True, stdin_once=True
        )
        with child:
            ours.sendall(b"in\n")
            ours.shutdown(socket.SHUT_WR)
            assert frames(ours)[1] == b"in\n1\n"
            assert child.wait(10).code == 9
            child.release()
        assert json.loads(Path(f"{shim.state_dir}/{shim.exec_id}.exit.json").read_bytes())["code"] == 9
        with pytest.raises(errors.CommandNotFound):
            c.exec(process, "nothing-there")
        os.kill(process.started.pid, signal.SIGKILL)
        process.wait(10)
        process.release()


def test_exec_ends_with_its_container(instance: Instance) -> None:
    c = instance.container("sleep", "1000")
    with c.start() as process:
        child, _ = c.exec(process, "sleep", "1000")
        os.kill(process.started.pid, signal.SIGKILL)
        with child:
            assert child.wait(10).code == 137
            child.release()
        assert process.wait(10).code == 137
        process.release()
    assert c.left() == []


# -- owners


def test_waiters_and_owners(instance: Instance) -> None:
    c = instance.container("sh", "-c", "read x; exit 4", open_stdin=True)
    with c.start() as process, ThreadPoolExecutor() as pool:
        with pytest.raises(TimeoutError):
            instance.driver.wait(c.socket, 0)
        waiting = [pool.submit(instance.driver.wait, c.socket, 10) for _ in range(5)]
        owner = instance.driver.own(c.socket)
        assert owner is not None and owner.started.pid == process.started.pid
        process.close()
        with instance.driver.attach(c.socket, stdin=True, stdout=False, stderr=False) as client:
            client.sendall(b"go\n")
            assert owner.wait(10).code == 4
        assert [w.result().code for w in waiting if w.result()] == [4] * len([w for w in waiting if w.result()])
        owner.release()
    assert instance.driver.wait(c.socket) is None and instance.driver.own(c.socket) is None


@pytest.mark.parametrize("what", ["released", "hung up before the exit", "hung up after it", "owned by another"])
def test_after_exit(instance: Instance, what: str) -> None:
    """The entry runs exactly when nobody has said that all is done."""
    fifo = instance.folder / "fifo"
    os.mkfifo(fifo)
    c = instance.container(
        *("sh", "-c", "read x"),
        open_stdin=True,
        after_exit=(
            "/bin/sh",
            "-c",
            f"ls -l /proc/self/fd > {fifo}; cat exit.json > {fifo}",
        ),
    )
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    process = c.start()
    shim = json.loads((c.folder / "run.json").read_text())["shim_pid"]
    pidfd = os.pidfd_open(shim)
    client = instance.driver.attach(c.socket, stdin=True, stdout=False, stderr=False)
    owner = instance.driver.own(c.socket) if what == "owned by another" else None
    if what == "hung up before the exit":
        process.close()
    client.sendall(b"\n")
    client.close()
    if what == "hung up after it":
        process.wait(10)
        process.close()
    elif what == "released":
        process.wait(10)
        process.release()
    elif owner:
        process.close()
        owner.wait(10)
        owner.release()
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(10000)
    try:
        ran = os.read(reader, 1 << 16)
    except BlockingIOError:
        ran = b""
    os.close(reader)
    os.close(pidfd)
    fifo.unlink()
    assert bool(ran) == what.startswith("hung up")
    if ran:
        assert ran.split(b"{")[0].count(b"\n") == 5, ran  # total, 0, 1, 2, and ls's own


# -- kill -9


def test_the_zygote_dies_and_nothing_else(own_instance: Instance) -> None:
    c = own_instance.container("sh", "-c", "read x; echo $x; exit 6", open_stdin=True)
    with c.start() as process:
        (zygote,) = own_instance.driver.versions().values()
        os.kill(zygote, signal.SIGKILL)
        wait_until_gone([zygote])
        assert own_instance.container("true").run() == 0, "the next start brings a new zygote"
        assert zygote not in own_instance.driver.versions().values()
        with own_instance.driver.attach(c.socket, stdin=True, stdout=False, stderr=False) as client:
            client.sendall(b"alive\n")
            assert process.wait(10).code == 6
        process.release()
    assert c.logged() == "alive\n"


def test_the_zygote_goes_with_its_socket(own_instance: Instance) -> None:
    own_instance.container("true").run()  # its spare may have served one more start after a zygote's death
    (zygote,) = own_instance.driver.versions().values()
    (path,) = own_instance.run_dir.glob("zygote-*.sock")
    path.unlink()
    wait_until_gone([zygote])
    assert own_instance.container("true").run() == 0


def test_a_killed_shim_takes_its_container_along(instance: Instance) -> None:
    c = instance.container("sleep", "1000")
    with c.start() as process:
        pidfd = os.pidfd_open(process.started.pid)
        os.kill(json.loads((c.folder / "run.json").read_text())["shim_pid"], signal.SIGKILL)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(10000)
        os.close(pidfd)
        exit_ = process.wait(10)
    assert exit_.code == 137 and exit_.error
    assert not (c.folder / "exit.json").exists()
    manager = cgroups.manager(c.config.cgroup.path)
    manager.remove()
    os.unlink(c.socket)
    os.rmdir(os.path.dirname(c.socket))


def _engine(instance: Instance, c, until: str) -> int:
    """A process that starts `c` and kills itself at `until`; returns its pid."""
    pid = os.fork()
    if pid == 0:

        def dead(_pid: int) -> None:
            if until == "created":
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            instance.driver.start(c.config, c.shim, on_created=dead)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    return pid


def test_the_engine_dies_before_the_start_is_done(instance: Instance) -> None:
    c = instance.container("sleep", "1000")
    _engine(instance, c, "created")
    assert _settle(c) == [] and not (c.folder / "run.json").exists()


def test_the_engine_dies_after_the_start(instance: Instance) -> None:
    c = instance.container("sh", "-c", "sleep 0.2; exit 8")
    _engine(instance, c, "started")
    exit_ = instance.driver.wait(c.socket, 10)
    assert json.loads((c.folder / "exit.json").read_text())["code"] == 8
    assert exit_ is None or exit_.code == 8
    assert c.left() == []


def _settle(c: Container) -> list[str]:
    """What is left of `c` once its starter has had the time to take it back."""
    deadline = time.monotonic() + 5
    while c.left() and time.monotonic() < deadline:
        time.sleep(0.01)
    return c.left()


def test_a_slow_engine_stalls_nobody(instance: Instance) -> None:
    path = next(instance.run_dir.glob("zygote-*.sock"))
    slow = [socket.socket(socket.AF_UNIX) for _ in range(5)]
    for sock in slow:
        sock.connect(str(path))
        sock.send(b"\0\0")
    assert instance.container("true").run() == 0
    for sock in slow:
        sock.close()


def test_an_error_while_the_network_is_put_in_takes_all_back(instance: Instance) -> None:
    c = instance.container("sleep", "1000")

    def fails(pid: int) -> None:
        assert os.path.exists(f"/proc/{pid}/ns/net")
        raise errors.SystemFault("network", "ve0", 17)

    with pytest.raises(errors.SystemFault, match="network ve0"):
        c.start(on_created=fails)
    assert c.left() == []


def test_fifty_at_once(instance: Instance) -> None:
    containers = [instance.container("sh", "-c", f"echo {i}; exit {i}") for i in range(50)]
    with ThreadPoolExecutor(50) as pool:
        codes = list(pool.map(lambda c: c.run(), containers))
    assert codes == list(range(50))
    assert [c.logged() for c in containers] == [f"{i}\n" for i in range(50)]
    assert [c.left() for c in containers] == [[]] * 50

"""kill -9 of all that have a hand in a container, at any moment: what ran goes on or is over, nothing is half done."""

from __future__ import annotations

import json
import os
import pty
import random
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from minidock import errors
from minidock.daemon import open_engine
from minidock.daemon.containers import create, inspect, kill, logs, pause, ps, rm, run, start, stop, wait
from minidock.daemon.containers import exec as exec_verb
from minidock.daemon.engine import Engine
from minidock.daemon.record.container import Container
from minidock.libcontainer import cgroups, userns
from minidock.libcontainer.config import IdMap
from minidock.linux import trace
from tests.conftest import needs
from tests.linux.robust import remains

MINIDOCK = str(Path(sys.executable).parent / "minidock")
# What a notebook does: an embedded client that starts containers and keeps them.
NOTEBOOK = """
import sys, time, minidock
client = minidock.from_env()
options = dict(network_mode="bridge", detach=True)
script = "echo begin; sleep 0.6; echo end; exit {}"
ids = [client.containers.run("busybox", ["sh", "-c", script.format(n)], **options).id for n in (3, 4)]
print(*ids, flush=True)
time.sleep(1000)
"""
TICKING = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done"]


def made(engine: Engine, *command: str, name: str | None = None, **host: Any) -> str:
    config = {"Image": "busybox", "Cmd": list(command)}
    return str(create.create(engine, config, {"NetworkMode": "none", **host}, name)["Id"])


def started(engine: Engine, *command: str, **options: Any) -> str:
    id = made(engine, *command, **options)
    start.start(engine, id)
    return id


def printed(engine: Engine, id: str) -> list[str]:
    return b"".join(data for _stream, data in logs.logs(engine, id)).decode().split()


def killed(pid: int) -> None:
    """SIGKILL, and wait for the end of a process that need not be our child."""
    pidfd = os.pidfd_open(pid)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    select.select([pidfd], [], [], 10)
    os.close(pidfd)


def test_the_notebook_kernel(root: Path) -> None:
    environment = {**os.environ, "MINIDOCK_ROOT": str(root)}
    with open_engine(root) as engine:
        before = remains.look(engine)
    kernel = subprocess.Popen([sys.executable, "-c", NOTEBOOK], env=environment, stdout=subprocess.PIPE, text=True)
    assert kernel.stdout
    with kernel.stdout:
        ids = kernel.stdout.readline().split()
    kernel.kill()
    kernel.wait()
    with open_engine(root) as engine:
        for id, code in zip(ids, (3, 4), strict=True):
            assert wait.wait(engine, id, timeout=20)["StatusCode"] == code
            assert printed(engine, id) == ["begin", "end"]
            rm.rm(engine, id)
    assert remains.settled(root, before) == []


def test_the_session_that_started_it(root: Path) -> None:
    """A login shell on a pty: the pty is closed, and the whole session gets SIGKILL."""
    with open_engine(root) as engine:
        before = remains.look(engine)
    pid, master = pty.fork()
    if pid == 0:
        os.environ["MINIDOCK_ROOT"] = str(root)
        script = f"{MINIDOCK} run -d --net=none --name=survivor busybox sh -c 'sleep 0.7; echo alive; exit 5'; cat"
        os.execv("/bin/sh", ["sh", "-c", script])
    with os.fdopen(master, "rb", buffering=0) as screen:
        shown = b""
        while b"\n" not in shown:
            shown += screen.read(1024)
        session = os.getsid(pid)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and remains.read(f"{entry}/stat").rpartition(")")[2].split()[3:4] == [str(session)]:
            os.kill(int(entry.name), signal.SIGKILL)
    os.waitpid(pid, 0)
    with open_engine(root) as engine:
        assert wait.wait(engine, "survivor", timeout=20)["StatusCode"] == 5
        assert printed(engine, "survivor") == ["alive"]
        rm.rm(engine, "survivor")
    assert remains.settled(root, before) == []


def called(engine: Engine, name: str) -> list[int]:
    """The instance's own processes of that name."""
    pids = remains.read(f"/sys/fs/cgroup/memory/{engine.paths.instance}/shims/cgroup.procs").split()
    return [int(pid) for pid in pids if remains.read(f"/proc/{pid}/comm").strip() == name]


@pytest.mark.parametrize("who", ["zygote", "keeper", "spare"])
def test_the_zygote_and_its_helpers(own_root: Path, who: str) -> None:
    engine = open_engine(own_root)
    before = remains.look(engine)
    id = started(engine, "sh", "-c", "echo begin; read x; echo $x; exit 6", name="fed")
    rm.rm(engine, id, force=True)
    id = started(engine, *TICKING)
    remains.eventually(lambda: called(engine, f"minidock-{who}"), f"a {who}")  # the next spare comes when a start is over
    for pid in called(engine, f"minidock-{who}"):
        killed(pid)
    there = len(printed(engine, id))
    remains.eventually(lambda: len(printed(engine, id)) > there, "the log goes on")
    other = started(engine, "sh", "-c", "exit 9")
    assert wait.wait(engine, other, timeout=20)["StatusCode"] == 9
    stop.stop(engine, id, 0)
    numbers = [int(n) for n in printed(engine, id)]
    assert numbers == list(range(1, len(numbers) + 1))
    for one in (id, other):
        rm.rm(engine, one, force=True)
    engine.close()
    assert remains.settled(own_root, before, ignore=("fds",)) == []


def test_a_start_after_the_zygotes_death(own_root: Path) -> None:
    """Its spare dies a moment later, and may still be at the socket: who meets it asks the next one."""
    engine = open_engine(own_root)
    before = remains.look(engine)
    for _ in range(25):
        for pid in engine.execdriver.versions().values():  # type: ignore[attr-defined]
            killed(pid)
        id = started(engine, "sh", "-c", "exit 9")
        assert wait.wait(engine, id, timeout=20)["StatusCode"] == 9
        rm.rm(engine, id)
    engine.close()
    assert remains.settled(own_root, before, ignore=("fds",)) == []


def test_the_zygote_during_starts(own_root: Path) -> None:
    """Killed at any moment while containers are started: a start works, or fails as one SystemFault and leaves nothing."""
    with open_engine(own_root) as engine:
        before = remains.look(engine)
        stopping = threading.Event()
        moments = random.Random(4)

        def killer() -> None:
            while not stopping.wait(moments.uniform(0.005, 0.05)):
                for pid in engine.execdriver.versions().values():  # type: ignore[attr-defined]
                    os.kill(pid, signal.SIGKILL)

        thread = threading.Thread(target=killer)
        thread.start()
        worked = 0
        try:
            for _ in range(30):
                try:
                    config = {"Image": "busybox", "Cmd": ["sh", "-c", "exit 9"]}
                    ended = run.run(engine, config, {"NetworkMode": "bridge", "AutoRemove": True})
                except errors.SystemFault:
                    continue
                worked += 1
                assert ended.exit_code == 9
        finally:
            stopping.set()
            thread.join()
    assert worked
    assert remains.settled(own_root, before) == []


@pytest.mark.parametrize("state", ["running", "paused", "other user", "remapped"])
def test_the_shim(root: Path, state: str) -> None:
    """The container ends with it, also where the kernel forgot that it should; the end is written down, nothing is left."""
    with open_engine(root) as engine:
        before = remains.look(engine)
        # su is a change of user: it clears PR_SET_PDEATHSIG, which is how the kernel would have ended the container
        command = ("su", "nobody", "-s", "/bin/sh", "-c", "sleep 1000") if state == "other user" else ("sleep", "1000")
        id = started(engine, *command, **({"UsernsMode": "remap"} if state == "remapped" else {}))
        record = Container.load(engine, id).run_json()
        if state == "other user":
            remains.eventually(lambda: "Uid:\t0" not in remains.read(f"/proc/{record['pid']}/status"), "it is somebody else")
        if state == "paused":
            pause.pause(engine, id)
        engine.exits.close()  # nobody watches: the next engine has to see it
    killed(record["shim_pid"])
    with open_engine(root) as engine:
        assert wait.wait(engine, id, timeout=20)["StatusCode"] == 137
        assert inspect.inspect(engine, id)["State"]["Status"] == "exited"
        assert not Path(f"/proc/{record['pid']}").exists() or remains.read(f"/proc/{record['pid']}/stat").split()[2] == "Z"
        start.start(engine, id)
        assert inspect.inspect(engine, id)["State"]["Running"]
        rm.rm(engine, id, force=True)
    assert remains.settled(root, before) == []


@pytest.mark.parametrize("verb", ["stop", "rm", "kill"])
def test_an_orphan_can_be_ended(engine: Engine, verb: str) -> None:
    """`stop`, `rm -f` and `kill` of a container whose shim was killed and which the kernel let live."""
    before = remains.look(engine)
    id = started(engine, "su", "nobody", "-s", "/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    record = Container.load(engine, id).run_json()
    remains.eventually(lambda: "Uid:\t0" not in remains.read(f"/proc/{record['pid']}/status"), "it is somebody else")
    engine.exits.close()
    killed(record["shim_pid"])
    verbs: dict[str, Callable[[], Any]] = {
        "stop": lambda: stop.stop(engine, id, 1),
        "rm": lambda: rm.rm(engine, id, force=True),
        "kill": lambda: kill.kill(engine, id),
    }
    verbs[verb]()
    if verb != "rm":
        assert inspect.inspect(engine, id)["State"]["ExitCode"] == 137
        rm.rm(engine, id)
    assert remains.settled(engine.paths.root, before, ignore=("fds",)) == []


def test_the_holder_of_an_id_map_dies_with_its_maker() -> None:
    """A starter killed right after it made the process whose user namespace it needs: that one must not stay for ever."""
    for _ in range(20):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            trace.install(trace.Tracer("shim", trace.FaultPlan("shim", 1, kill=True)))
            maps = (IdMap(0, 100000, 1),)
            with ExitStack() as undo:
                userns.open_maps(maps, maps, undo)
            os._exit(0)
        os.close(writer)
        _pid, ended = os.waitpid(pid, 0)
        assert os.WTERMSIG(ended) == signal.SIGKILL
        with os.fdopen(reader, "rb", buffering=0) as end:
            assert select.select([end], [], [], 10)[0], "somebody still holds the pipe"
            assert end.read(1) == b""


def test_the_command_at_any_moment(root: Path) -> None:
    """`minidock run` killed after a random time, 16 times: what is left is a whole container or none."""
    seed = 20150331
    moments = random.Random(seed)
    with open_engine(root) as engine:
        before = remains.look(engine)
    environment = {**os.environ, "MINIDOCK_ROOT": str(root)}
    null = subprocess.DEVNULL
    for _ in range(16):
        command = [MINIDOCK, "run", "--name", "random", "busybox", "sh", "-c", "echo x; exit 7"]
        with subprocess.Popen(command, env=environment, stdin=null, stdout=null, stderr=null) as process:
            time.sleep(moments.uniform(0.05, 0.35))  # the moment is the test's subject; nothing is waited for
            process.kill()
        with open_engine(root) as engine:
            if not ps.ps(engine, all=True):
                continue
            assert [shown["Names"] for shown in ps.ps(engine, all=True)] == [["/random"]], seed
            if inspect.inspect(engine, "random")["State"]["Status"] != "created":
                assert wait.wait(engine, "random", timeout=20)["StatusCode"] == 7, seed
                assert printed(engine, "random") == ["x"], seed
            rm.rm(engine, "random", force=True)
        assert remains.settled(root, before) == [], seed


def test_an_engine_closed_twice(root: Path) -> None:
    """The second close must not write to, or close, what has the number of a closed descriptor by then."""
    engine = open_engine(root)
    rm.rm(engine, started(engine, "sleep", "1000"), force=True)
    engine.close()
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(8)]
        engine.close()
        assert [os.fstat(file.fileno()).st_size for file in files] == [0] * 8


def test_an_exec_outlives_its_client(engine: Engine) -> None:
    id = started(engine, "sleep", "1000")
    exec_id = exec_verb.exec_create(engine, id, {"Cmd": ["sh", "-c", "sleep 0.5; echo done > /done; exit 8"]})["Id"]
    pid = os.fork()
    if pid == 0:
        with Engine(engine.paths.root) as other:
            exec_verb.exec_start(other, exec_id, detach=True)
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert exec_verb.exec_wait(engine, exec_id, 20) == 8
    assert json.loads((engine.paths.exec / f"{exec_id}.exit.json").read_text())["code"] == 8
    rm.rm(engine, id, force=True)


def test_a_zygote_that_sees_other_mounts(own_root: Path) -> None:
    """The engine that made it was in a mount namespace of its own; the next one is not."""
    needs("cgroup-v1")
    unified = next((tree.mountpoint for tree in cgroups.hierarchies() if tree.version == 2), None)
    away = f"umount {unified}" if unified else "umount /sys/fs/cgroup/pids"
    script = f"{away} && exec {MINIDOCK} run --rm --net=none busybox true"
    with open_engine(own_root) as engine:
        engine.execdriver.stop_zygote()  # type: ignore[attr-defined]
        before = remains.look(engine)
    environment = {**os.environ, "MINIDOCK_ROOT": str(own_root)}
    subprocess.run(["unshare", "-m", "sh", "-c", script], env=environment, check=True)
    with open_engine(own_root) as engine:
        result = run.run(engine, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none", "AutoRemove": True})
        assert result.exit_code == 0
    assert remains.settled(own_root, before, ignore=("fds",)) == []

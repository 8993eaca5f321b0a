"""A container's life, verb by verb, with real processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from minidock import errors
from minidock.daemon import open_engine
from minidock.daemon.containers import (
    create,
    export,
    inspect,
    kill,
    logs,
    pause,
    ps,
    rename,
    restart,
    rm,
    run,
    start,
    stop,
    top,
    unpause,
    wait,
)
from minidock.daemon.containers import exec as exec_verb
from minidock.daemon.engine import Engine
from minidock.daemon.exits import reconcile
from minidock.daemon.record import execs

WAIT = ("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 100 & wait; done")


def status(engine: Engine, id: str) -> str:
    return str(inspect.inspect(engine, id)["State"]["Status"])


def ids(folder: Path) -> list[str]:
    """What belongs to a container there."""
    return [name for name in os.listdir(folder) if len(name) == 64]


def log(engine: Engine, id: str, **options: Any) -> bytes:
    return b"".join(text for _stream, text in logs.logs(engine, id, **options))


def wait_for_log(engine: Engine, id: str, text: bytes) -> None:
    """Follow the log until `text` is there."""
    seen = b""
    for _stream, entry in logs.logs(engine, id, follow=True):
        seen += entry
        if text in seen:
            return
    raise AssertionError(f"{text!r} was never logged")


def test_run_returns_output_and_status_and_leaves_nothing(box: Engine) -> None:
    script = "echo out; echo err >&2; exit 3"
    result = run.run(box, {"Image": "busybox", "Cmd": ["sh", "-c", script]}, {"NetworkMode": "none", "AutoRemove": True})
    assert (result.exit_code, result.output, result.stderr) == (3, b"out\n", b"err\n")
    assert ps.ps(box, all=True) == []
    assert ids(box.paths.containers) == ids(box.paths.tmp) == []
    assert not box.paths.run_dir(result.id).exists()
    assert not box.layers.exists(result.id)


def test_run_without_auto_remove_keeps_the_container(box: Engine) -> None:
    result = run.run(box, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none"})
    assert status(box, result.id) == "exited"


def test_run_gives_stdin(box: Engine) -> None:
    config = {"Image": "busybox", "Cmd": ["wc", "-c"], "OpenStdin": True, "StdinOnce": True}
    result = run.run(box, config, {"NetworkMode": "none", "AutoRemove": True}, stdin=b"x" * 300_000)
    assert result.output == b"300000\n"


def test_the_states_of_a_life(box: Engine, made: Any) -> None:
    id = made(*WAIT, name="life")
    assert status(box, id) == "created"
    assert ps.ps(box) == []
    start.start(box, "life")
    assert status(box, id) == "running"
    assert ps.ps(box)[0]["Status"].startswith("Up ")
    with pytest.raises(errors.NotModified):
        start.start(box, id)
    wait_for_log(box, id, b"ready")
    pause.pause(box, id)
    assert status(box, id) == "paused"
    with pytest.raises(errors.Conflict, match="is already paused"):
        pause.pause(box, id)
    assert "(Paused)" in ps.ps(box)[0]["Status"]
    unpause.unpause(box, id)
    stop.stop(box, id)
    state = inspect.inspect(box, id)["State"]
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("exited", 7, False)
    assert state["FinishedAt"] > state["StartedAt"]
    with pytest.raises(errors.NotModified):
        stop.stop(box, id)
    assert ps.ps(box, all=True)[0]["Status"].startswith("Exited (7) ")
    rm.rm(box, id)
    with pytest.raises(errors.ContainerNotFound, match=f"No such container: {id}"):
        inspect.inspect(box, id)


def test_stop_kills_what_does_not_listen(box: Engine, started: Any) -> None:
    id = started("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 100; done")
    wait_for_log(box, id, b"ready")
    stop.stop(box, id, timeout=0)
    assert inspect.inspect(box, id)["State"]["ExitCode"] == 137


def test_kill_sends_any_signal(box: Engine, started: Any) -> None:
    id = started("sh", "-c", "trap 'echo got; exit 4' USR1; echo ready; while :; do sleep 100 & wait; done")
    wait_for_log(box, id, b"ready")
    kill.kill(box, id, "USR1")
    assert wait.wait(box, id)["StatusCode"] == 4
    with pytest.raises(errors.Conflict, match=f"Cannot kill container: {id}: Container {id} is not running"):
        kill.kill(box, id)
    with pytest.raises(errors.InvalidParameter, match="Invalid signal: NOPE"):
        kill.kill(box, id, "NOPE")


def test_a_paused_container_can_be_killed(box: Engine, started: Any) -> None:
    id = started("sleep", "100")
    pause.pause(box, id)
    kill.kill(box, id)
    assert inspect.inspect(box, id)["State"]["ExitCode"] == 137


def test_rm_wants_force_for_what_runs(box: Engine, started: Any) -> None:
    id = started("sleep", "100", name="busy")
    with pytest.raises(errors.Conflict, match=f"You cannot remove a running container {id}. Stop the container before"):
        rm.rm(box, "busy")
    rm.rm(box, "busy", force=True)
    assert ps.ps(box, all=True) == []


def test_restart_runs_again(box: Engine, started: Any) -> None:
    id = started("sh", "-c", "echo started; sleep 100")
    before = inspect.inspect(box, id)["State"]
    wait_for_log(box, id, b"started\n")
    restart.restart(box, id, timeout=0)
    wait_for_log(box, id, b"started\n" * 2)
    after = inspect.inspect(box, id)["State"]
    assert after["Status"] == "running"
    assert after["Pid"] != before["Pid"]
    kill.kill(box, id)
    assert log(box, id) == b"started\n" * 2


def test_rename_and_lookup(box: Engine, made: Any) -> None:
    id, other = made("true", name="first"), made("true", name="second")
    rename.rename(box, "first", "third")
    assert inspect.inspect(box, "third")["Id"] == id == inspect.inspect(box, id[:12])["Id"]
    with pytest.raises(errors.ContainerNotFound):
        inspect.inspect(box, "first")
    with pytest.raises(errors.Conflict, match=f'"/second" is already in use by container "{other}"'):
        rename.rename(box, "third", "second")
    with pytest.raises(errors.Conflict, match="You have to remove"):
        made("true", name="third")


@pytest.mark.parametrize(
    ("command", "error", "code"),
    [("/nowhere", errors.CommandNotFound, 127), ("/etc", errors.CommandNotExecutable, 126)],
)
def test_a_command_that_cannot_be(box: Engine, made: Any, command: str, error: type[Exception], code: int) -> None:
    id = made(command)
    with pytest.raises(error):
        start.start(box, id)
    state = inspect.inspect(box, id)["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", code)
    assert state["Error"]
    assert not box.paths.run_dir(id).exists()


def test_a_failed_start_with_rm_leaves_nothing(box: Engine, made: Any) -> None:
    id = made("/nowhere", host={"AutoRemove": True})
    with pytest.raises(errors.CommandNotFound):
        start.start(box, id)
    assert ps.ps(box, all=True) == []


def test_logs(box: Engine, made: Any) -> None:
    """Logs are cut by stream, tail and time, and followed until the container ends."""
    id = made("sh", "-c", "for i in 1 2 3; do echo $i; done; echo bad >&2")
    start.start(box, id)
    assert wait.wait(box, id)["StatusCode"] == 0
    assert log(box, id, stderr=False) == b"1\n2\n3\n"
    assert log(box, id, stdout=False) == b"bad\n"
    assert log(box, id, tail=1, stderr=False) == b"3\n"
    assert log(box, id, since=time.time() + 60) == b""
    assert log(box, id, timestamps=True, stderr=False).split()[0].endswith(b"Z")
    assert log(box, id, follow=True, stderr=False) == b"1\n2\n3\n"


def test_logs_follow_through_a_rotation(box: Engine, started: Any) -> None:
    options = {"LogConfig": {"Type": "json-file", "Config": {"max-size": "4k", "max-file": "50"}}}
    id = started("sh", "-c", "i=0; while [ $i -lt 500 ]; do echo line $i; i=$((i+1)); done", host=options)
    assert log(box, id, follow=True) == b"".join(b"line %d\n" % i for i in range(500))


def test_wait_conditions(box: Engine, made: Any) -> None:
    """Whoever waits for the exit, and whoever waits for the removal, both get the exit code."""
    id = made("sh", "-c", "exit 5", host={"AutoRemove": True})
    results: dict[str, Any] = {}

    def waiter(condition: str) -> None:
        results[condition] = wait.wait(box, id, condition, timeout=20)["StatusCode"]

    threads = [threading.Thread(target=waiter, args=(c,)) for c in ("next-exit", "removed")]
    for thread in threads:
        thread.start()
    assert wait.wait(box, id) == {"StatusCode": 0, "Error": None}, "a created container does not run"
    start.start(box, id)
    for thread in threads:
        thread.join()
    assert results == {"next-exit": 5, "removed": 5}
    assert ps.ps(box, all=True) == []
    with pytest.raises(errors.InvalidParameter):
        wait.wait(box, id, "sometime")


def test_wait_gives_up(box: Engine, started: Any) -> None:
    id = started("sleep", "100")
    with pytest.raises(TimeoutError):
        wait.wait(box, id, timeout=0.05)
    rm.rm(box, id, force=True)


def collect(sock: Any) -> bytes:
    with sock:
        parts = []
        while data := sock.recv(65536):
            parts.append(data)
    return b"".join(parts)


def test_exec(box: Engine, started: Any) -> None:
    """An exec has the container's environment and its own, and can be asked about afterwards."""
    id = started("sleep", "100", Env=["A=container"])
    made = exec_verb.exec_create(box, id, {"Cmd": ["sh", "-c", "echo $A $B; exit 9"], "Env": ["B=exec"], "AttachStdout": True})
    sock = exec_verb.exec_start(box, made["Id"])
    assert run.separate(collect(sock)) == ((1, b"container exec\n"),)
    assert exec_verb.exec_wait(box, made["Id"]) == 9
    shown = exec_verb.exec_inspect(box, made["Id"])
    assert (shown["ExitCode"], shown["Running"], shown["ContainerID"]) == (9, False, id)
    with pytest.raises(errors.Conflict):
        exec_verb.exec_start(box, made["Id"])
    missing = exec_verb.exec_create(box, id, {"Cmd": ["/nowhere"]})
    with pytest.raises(errors.CommandNotFound):
        exec_verb.exec_start(box, missing["Id"])
    assert exec_verb.exec_inspect(box, missing["Id"])["ExitCode"] == 127
    rm.rm(box, id, force=True)
    assert execs.of_container(box, id) == []
    with pytest.raises(errors.ExecNotFound):
        exec_verb.exec_inspect(box, made["Id"])


def records(engine: Engine, id: str) -> list[str]:
    """The files that an exec has in the run directory."""
    return sorted(name for name in os.listdir(engine.paths.exec) if name.startswith(id))


def run_exec(engine: Engine, container: str, *command: str) -> str:
    """An exec, run to its end; its id."""
    id: str = exec_verb.exec_create(engine, container, {"Cmd": list(command)})["Id"]
    exec_verb.exec_start(engine, id, detach=True)
    exec_verb.exec_wait(engine, id)
    return id


def test_ended_execs_are_forgotten_while_the_container_lives(box: Engine, started: Any) -> None:
    """A health check every second would fill the run directory, which lies in memory."""
    container = started("sleep", "100")
    living = exec_verb.exec_create(box, container, {"Cmd": ["sleep", "100"]})["Id"]
    exec_verb.exec_start(box, living, detach=True)
    waiting = exec_verb.exec_create(box, container, {"Cmd": ["true"]})["Id"]
    old, fresh = run_exec(box, container, "true"), run_exec(box, container, "sh", "-c", "exit 3")
    long_ago = time.time() - execs.REMEMBERED - 1
    for path in [
        box.paths.exec / "looked",
        *(box.paths.exec / name for id in (living, waiting, old) for name in records(box, id)),
    ]:
        os.utime(path, (long_ago, long_ago))
    before = records(box, fresh)
    run_exec(box, container, "true")
    assert records(box, old) == []
    with pytest.raises(errors.ExecNotFound):
        exec_verb.exec_inspect(box, old)
    assert records(box, fresh) == before
    assert exec_verb.exec_inspect(box, fresh)["ExitCode"] == 3
    assert exec_verb.exec_inspect(box, living)["Running"]
    assert exec_verb.exec_inspect(box, waiting)["ExitCode"] is None


def test_nobody_looks_twice_in_a_minute(box: Engine, started: Any) -> None:
    container = started("sleep", "100")
    old = run_exec(box, container, "true")
    for name in records(box, old):
        os.utime(box.paths.exec / name, (0, 0))
    run_exec(box, container, "true")
    assert records(box, old)


def test_exec_wants_a_running_container(box: Engine, made: Any) -> None:
    id = made("true")
    with pytest.raises(errors.Conflict, match=f"Container {id} is not running"):
        exec_verb.exec_create(box, id, {"Cmd": ["true"]})


def test_top(box: Engine, started: Any) -> None:
    """The container's processes and no others, with ps's options as far as a pid can be told."""
    id = started("sleep", "4242")
    shown = top.top(box, id)
    assert shown["Titles"][1] == "PID"
    assert [row[-1] for row in shown["Processes"]] == ["sleep 4242"]
    with pytest.raises(errors.InvalidParameter, match="Couldn't find PID field"):
        top.top(box, id, "-o comm")
    rm.rm(box, id, force=True)


def test_export_is_a_tar_of_the_whole_tree(box: Engine, made: Any, tmp_path: Path) -> None:
    import io
    import tarfile

    id = made("sh", "-c", "echo new >/file")
    start.start(box, id)
    wait.wait(box, id)
    with tarfile.open(fileobj=io.BytesIO(b"".join(export.export(box, id)))) as tar:
        names = tar.getnames()
    assert "file" in names
    assert "bin/sh" in names


def test_another_process_sees_the_same(box: Engine, started: Any) -> None:
    id = started("sleep", "100")
    with open_engine(box.paths.root) as other:
        assert ps.ps(other)[0]["Id"] == id
        kill.kill(other, id, signal.SIGKILL)
    assert wait.wait(box, id)["StatusCode"] == 137


def test_a_killed_shim_is_written_down(box: Engine, started: Any) -> None:
    from minidock.daemon.record.container import Container

    id = started("sleep", "100")
    container = Container.load(box, id)
    before = container.run_json()
    os.kill(before["shim_pid"], signal.SIGKILL)
    assert wait.wait(box, id)["StatusCode"] == 137
    with open_engine(box.paths.root):  # its reconcile leaves nothing of the run
        pass
    with container.locked():  # or the first engine's own thread was at it: then that
        pass
    assert container.exit_json()["code"] == 137
    assert not os.path.exists(f"/sys/fs/cgroup/memory{container.cgroup}")
    rm.rm(box, id)


def test_a_container_that_gets_whole_while_an_engine_looks_is_left_alone(box: Engine, made: Any) -> None:
    """Between an engine's open of the lock in tmp/<id> and its flock the maker may rename the folder and let the lock go."""
    id = made("true")
    half, whole = box.paths.tmp / id, box.paths.containers / id
    whole.rename(half)
    looking = [True]

    def maker(event: str, _arguments: object) -> None:  # an audit hook sees each call before it is made, and stays for good
        if event == "fcntl.flock" and looking and half.exists():
            looking.clear()
            half.rename(whole)

    sys.addaudithook(maker)
    reconcile.finish_removal(box, id)
    assert not looking
    assert box.layers.exists(id) and inspect.inspect(box, id)["State"]["Status"] == "created"
    rm.rm(box, id)


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
def test_restart_policies(box: Engine, started: Any, policy: str) -> None:
    """A container that must run again does, until somebody stops it."""
    id = started("sh", "-c", "echo run; exit 1", host={"RestartPolicy": {"Name": policy, "MaximumRetryCount": 0}})
    for number, _entry in enumerate(logs.logs(box, id, follow=True), 1):
        if number == 3:
            break
    stop.stop(box, id) if inspect.inspect(box, id)["State"]["Running"] else None
    shown = inspect.inspect(box, id)
    assert shown["RestartCount"] >= 2
    assert shown["State"]["Status"] == "exited"
    rm.rm(box, id)


def test_on_failure_gives_up(box: Engine, started: Any) -> None:
    id = started("sh", "-c", "echo run; exit 1", host={"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}})
    assert wait.wait(box, id, timeout=30)["StatusCode"] == 1
    assert log(box, id) == b"run\n" * 3
    assert inspect.inspect(box, id)["RestartCount"] == 2


def test_restart_policies_need_no_engine(box: Engine, made: Any) -> None:
    id = made("sh", "-c", "echo run; exit 1", host={"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}})
    with open_engine(box.paths.root) as starter:
        start.start(starter, id)
    lines = [text for _stream, text in logs.logs(box, id, follow=True)]
    assert wait.wait(box, id, timeout=30)["StatusCode"] == 1
    assert len(lines) >= 1
    assert log(box, id) == b"run\n" * 2


def test_an_engine_closes_while_a_restart_is_due(box: Engine, made: Any) -> None:
    policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4}}
    id = made("sh", "-c", "echo run; exit 1", host=policy)
    starter = open_engine(box.paths.root)
    start.start(starter, id)
    for number, _entry in enumerate(logs.logs(box, id, follow=True), 1):
        if number == 2:
            break
    began = time.monotonic()
    starter.close()
    assert time.monotonic() - began < 5, "the wait between two runs is given up at once"
    assert wait.wait(box, id, timeout=30)["StatusCode"] == 1
    assert log(box, id) == b"run\n" * 5


def test_rm_needs_no_engine(box: Engine, made: Any) -> None:
    id = made("sh", "-c", "sleep 0.2", host={"AutoRemove": True})
    with open_engine(box.paths.root) as starter:
        start.start(starter, id)
    wait.wait(box, id, "removed", timeout=30)
    assert ps.ps(box, all=True) == []


def test_create_checks_before_it_makes(box: Engine) -> None:
    cases: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"Image": "nope"}, {}, "No such image: nope:latest"),
        ({"WorkingDir": "rel"}, {}, "the working directory 'rel' is invalid, it needs to be an absolute path"),
        ({}, {"NetworkMode": "nowhere"}, "network nowhere not found"),
        ({}, {"NetworkMode": "container:nope"}, "No such container: nope"),
    ]
    for config, host, words in cases:
        with pytest.raises(errors.APIError) as caught:
            create.create(box, {"Image": "busybox", "Cmd": ["true"], **config}, {"NetworkMode": "none", **host})
        assert caught.value.explanation == words
    assert ids(box.paths.containers) == ids(box.paths.tmp) == []


def test_volumes(box: Engine, tmp_path: Path) -> None:
    """Bind mounts and named volumes keep what is written; an anonymous volume goes with its container."""
    host = {"NetworkMode": "none", "AutoRemove": True}
    bind = tmp_path / "not" / "yet"
    script = "echo bound >/b/file; echo named >/n/file; echo anonymous >/a/file; ls /bin2/sh"
    config = {"Image": "busybox", "Cmd": ["sh", "-c", script], "Volumes": {"/a": {}}}
    result = run.run(box, config, {**host, "Binds": [f"{bind}:/b", "data:/n", "bins:/bin", "bins:/bin2"]})
    assert (result.exit_code, result.output) == (0, b"/bin2/sh\n"), result
    assert (bind / "file").read_text() == "bound\n"
    assert (box.paths.volumes / "data" / "_data" / "file").read_text() == "named\n"
    assert sorted(os.listdir(box.paths.volumes)) == ["bins", "data"], "the anonymous volume goes with its container"
    again = run.run(box, {"Image": "busybox", "Cmd": ["cat", "/n/file"]}, {**host, "Binds": ["data:/n:ro"]})
    assert again.output == b"named\n"
    refused = run.run(box, {"Image": "busybox", "Cmd": ["touch", "/n/file"]}, {**host, "Binds": ["data:/n:ro"]})
    assert b"Read-only" in refused.stderr

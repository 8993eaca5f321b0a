"""`create_exec`: inside means inside everything, and never inside something else."""

from __future__ import annotations

import pytest

from minidock.errors import CommandNotFound, StartError
from minidock.libcontainer.config import ExecConfig, Namespaces, Process
from minidock.linux import process
from tests.linux.libcontainer.box import DEFAULT, Box, namespaces_of
from tests.linux.libcontainer.children import in_child


def test_exec_is_in_all_namespaces_cgroups_and_the_root(box: Box) -> None:
    def body() -> None:
        config = box.config("sleep", "60", namespaces=Namespaces(cgroup="new", time="new"))
        with box.started(config) as (container, _):
            links = "for n in pid net ipc uts mnt user cgroup time; do readlink /proc/self/ns/$n; done"
            script = f"{links}; cat /proc/self/cgroup; hostname"
            code, output = box.exec(config, container, "sh", "-c", script)
            assert code == 0
            lines = output.split()
            theirs = namespaces_of(container.pid)
            assert lines[:8] == [theirs[k] for k in ("pid", "net", "ipc", "uts", "mnt", "user", "cgroup", "time")]
            assert {line.split(":", 2)[2] for line in lines[8:-1]} == {"/"}
            assert lines[-1] == "box"
            _code, fds = box.exec(config, container, "sh", "-c", "cd /proc/$$/fd && echo *")
            assert set(fds.split()) <= {"0", "1", "2", "3", "10"}

    in_child(body)  # a process with threads, as a worker of pytest's is, cannot go into a time namespace


def test_exec_has_its_own_user_directory_environment_and_status(box: Box) -> None:
    config = box.config("sleep", "60")
    with box.started(config) as (container, _):
        answer = box.exec(
            config, container, "sh", "-c", "id -u; pwd; echo $A; exit 3", user="ann", cwd="/etc", env=("PATH=/bin", "A=b")
        )
        assert answer == (3, "1000\n/etc\nb\n")
        with pytest.raises(CommandNotFound):
            box.exec(config, container, "nope")


def test_a_pid_that_came_round_again_is_refused(box: Box) -> None:
    config = box.config("sleep", "60")
    with box.started(config) as (container, _):
        start = process.start_time(container.pid)
        right = ExecConfig(config.id, container.pid, start, Process(("true",), ("PATH=/bin",), capabilities=DEFAULT))
        assert box.exec_config(right)[0] == 0
        with pytest.raises(StartError, match="is not running"):
            box.exec_config(right.replace(pid_start=start + 1))
    with pytest.raises(StartError, match="is not running"):
        box.exec_config(right)

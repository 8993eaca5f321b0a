"""Containers that share a namespace when user namespaces are the rule: the owner of what is shared is shared along."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock import errors
from minidock.daemon import open_engine
from minidock.daemon.containers import create, inspect, rm, run, start
from minidock.daemon.engine import Engine
from tests.linux.robust import remains

LOOK = "readlink /proc/self/ns/user; cat /proc/self/uid_map"


@pytest.fixture
def remapping(root: Path) -> Iterator[Engine]:
    with open_engine(root, userns_remap="default") as engine:
        yield engine


def ask(engine: Engine, command: str, **host: Any) -> str:
    config = {"Image": "busybox", "Cmd": ["sh", "-c", command]}
    result = run.run(engine, config, {"NetworkMode": "none", "AutoRemove": True, **host})
    assert result.exit_code == 0, result.frames
    return result.output.decode()


@pytest.mark.parametrize("key", ["NetworkMode", "IpcMode", "PidMode"])
def test_joining_means_the_same_user_namespace(remapping: Engine, key: str) -> None:
    config = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
    donor = create.create(remapping, config, {"NetworkMode": "none", "IpcMode": "shareable"}, "donor")["Id"]
    start.start(remapping, donor)
    pid = inspect.inspect(remapping, donor)["State"]["Pid"]
    theirs = os.readlink(f"/proc/{pid}/ns/user")
    told = ask(remapping, LOOK, **{key: "container:donor"}).split()
    assert told == [theirs, "0", "100000", "65536"]
    assert ask(remapping, LOOK).split()[0] != theirs, "control: without joining it is another"
    if key == "NetworkMode":
        assert "rights" in ask(remapping, "ip link set lo down && echo rights", NetworkMode="container:donor")
    rm.rm(remapping, donor, force=True)


def test_joining_one_of_the_hosts(remapping: Engine) -> None:
    """A donor outside user namespaces: not even /sys can be mounted in its network. Said before anything is made."""
    config = {"Image": "busybox", "Cmd": ["sleep", "1000"]}
    donor = create.create(remapping, config, {"NetworkMode": "none", "UsernsMode": "host"}, "donor")["Id"]
    start.start(remapping, donor)
    with pytest.raises(errors.Conflict, match="host's user namespace"):
        ask(remapping, "true", NetworkMode="container:donor")
    rm.rm(remapping, donor, force=True)


def test_the_hosts_ipc(remapping: Engine) -> None:
    """Allowed, as docker allows it; the host's message queues cannot be mounted there."""
    told = ask(remapping, f"readlink /proc/self/ns/ipc; {LOOK}; test ! -e /dev/mqueue", IpcMode="host")
    assert os.readlink("/proc/self/ns/ipc") in told and "100000" in told


def test_nothing_left(root: Path, remapping: Engine) -> None:
    """A container that joins another's user namespace leaves nothing behind."""
    before = remains.look(remapping)
    ask(remapping, "true")
    assert remains.settled(root, before, ignore=("fds",)) == []

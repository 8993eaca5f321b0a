"""What an engine reads off its files: which container is meant, whose lock it is, how a run ended."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import threading
from typing import Any

import pytest

from minidock.daemon.containers import ps
from minidock.daemon.engine import Engine
from minidock.daemon.record.container import Container
from minidock.daemon.record.names import lookup
from minidock.errors import ContainerNotFound, InvalidParameter


def test_a_lock_that_was_won_on_a_folder_that_went_is_none(box: Engine, made: Any) -> None:
    """Who waited for it while the container was removed, and another with its folder came: he would act beside the holder."""
    container = Container.load(box, made("true"))
    outcome: list[str] = []

    def wait_for_it() -> None:
        try:
            with container.locked():
                outcome.append("locked")
        except ContainerNotFound:
            outcome.append("gone")

    held = os.open(container.directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiter = threading.Thread(target=wait_for_it)
        waiter.start()
        inode = os.fstat(held).st_ino
        while f":{inode} " not in "".join(line for line in open("/proc/locks") if "->" in line):  # noqa: SIM115
            pass  # until it waits
        away = container.directory.with_name("away")
        container.directory.rename(away)
        shutil.copytree(away, container.directory)
        shutil.rmtree(away)
    finally:
        os.close(held)
    waiter.join()
    assert outcome == ["gone"]


def test_what_ran_when_the_machine_went_down_did_not_end_well(box: Engine, made: Any) -> None:
    id = made("true")
    container = Container.load(box, id)
    run = {"run": 1, "shim_pid": 1, "shim_start": 1, "pid": 1, "pid_start": 1, "started_at": "2015-03-30T09:38:11Z"}
    path = container.directory / "run.json"
    path.write_text(json.dumps({**run, "boot_id": "another boot"}))
    state = container.state()
    assert (state.status, state.exit_code, state.running) == ("exited", 255, False)
    path.unlink()


def test_a_prefix_that_two_ids_have_means_neither(box: Engine) -> None:
    for id in ("abc1".ljust(64, "0"), "abc2".ljust(64, "0")):
        box.links.execute("INSERT INTO names (name, kind, id) VALUES (?, 'container', ?)", id[:4], id)
    with pytest.raises(InvalidParameter, match="multiple IDs found with provided prefix: abc"):
        lookup(box, "abc")
    box.links.execute("DELETE FROM names")


def test_a_command_is_shown_so_that_it_means_the_same() -> None:
    assert ps.command("sh", ["-c", "echo a b", "x"]) == "sh -c 'echo a b' x"

"""capabilities.apply: what the kernel then says, and what an execve makes of it."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

from minidock.libcontainer import capabilities
from minidock.libcontainer.capabilities import DEFAULT
from minidock.libcontainer.config import Capabilities
from minidock.linux import security
from tests.linux.libcontainer.children import in_child

FIELDS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def sets_after_exec() -> dict[str, int]:
    """The capability lines of a program that we execve from here."""
    text = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, check=True, text=True).stdout
    return {k: int(v, 16) for k, v in (line.split(":\t") for line in text.splitlines() if line.startswith(FIELDS))}


def test_available_is_what_proc_says() -> None:
    lines = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    assert capabilities.mask(capabilities.available()) == int(lines["CapBnd"], 16) & int(lines["CapPrm"], 16)


def test_root_gets_exactly_the_default_set() -> None:
    def child() -> dict[str, int]:
        capabilities.apply(capabilities.for_container()[0])
        return sets_after_exec()

    mask = capabilities.mask(DEFAULT)
    assert in_child(child) == {"CapInh": 0, "CapPrm": mask, "CapEff": mask, "CapBnd": mask, "CapAmb": 0}


def test_dropped_is_really_gone(tmp_path: Path) -> None:
    """With CHOWN root gives files away; without it, it cannot."""
    target = tmp_path / "file"
    target.touch()

    def child(drop: list[str]) -> str:
        capabilities.apply(capabilities.for_container(drop=drop)[0])
        os.chown(target, 1, 1)
        return "given away"

    assert in_child(lambda: child([])) == "given away"
    assert in_child(lambda: child(["CHOWN"])) == {"errno": errno.EPERM}


def test_another_user_has_none_but_keeps_the_ceiling() -> None:
    def child() -> list[object]:
        capabilities.apply(capabilities.for_container()[0], 1000, 1001, [1002])
        return [os.getresuid(), os.getresgid(), os.getgroups(), sets_after_exec()]

    uid, gid, groups, sets = in_child(child)
    assert (uid, gid, groups) == ([1000] * 3, [1001] * 3, [1002])
    assert sets == {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapBnd": capabilities.mask(DEFAULT), "CapAmb": 0}


def test_ambient_survives_for_another_user() -> None:
    names = ("NET_BIND_SERVICE",)

    def child() -> dict[str, int]:
        capabilities.apply(Capabilities(DEFAULT, names, names, names, names), 1000, 1000)
        return sets_after_exec()

    bit = capabilities.mask(names)
    assert in_child(child) == {"CapInh": bit, "CapPrm": bit, "CapEff": bit, "CapBnd": capabilities.mask(DEFAULT), "CapAmb": bit}


def test_drop_bounding_leaves_nothing_else() -> None:
    def child() -> list[int]:
        capabilities.drop_bounding(["KILL"])
        return [n for n in range(41) if security.bounding_has(n)]

    assert in_child(child) == [capabilities.NUMBER["KILL"]]

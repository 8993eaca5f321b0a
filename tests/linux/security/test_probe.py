"""A default container is no weaker than Docker's, by any probe of ``probe.py``; and the comparison can tell.

The reference is Debian 12's dockerd (20.10.24, runc 1.1.5) on the same kernel. Every difference is in a table here, with why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidock.daemon import open_engine
from minidock.daemon.containers import create, exec, rm, start
from minidock.daemon.engine import Engine
from tests.linux.security.compare import Difference, differences
from tests.linux.security.conftest import Answers, command

# A field's pattern → (the verdict that is expected, why). What is not there is not different, or the test fails.
UNIFIED = "hybrid machines: our container sees its own cgroup of the unified tree too, read-only"
EXPLAINED = {
    r"mount /proc/(interrupts|keys|kcore|timer_list|sched_debug)": ("stricter", "a mask is read-only"),
    r"(see|mount) (/proc/interrupts|/sys/devices/virtual/powercap)": ("stricter", "masked since Docker 28 and 25"),
    r"mount /sys/fs/cgroup": ("stricter", "the tmpfs above the hierarchies is read-only too"),
    r"set writable below /sys": ("stricter", "that tmpfs"),
    r"mount /sys/fs/cgroup/unified": ("stricter", UNIFIED),
    r"try (mkdir|write) /sys/fs/cgroup/unified.*": ("other", UNIFIED),
    r"same propagation of /": ("other", "ours is private: no mount event of the host's arrives"),
    r"same links in /dev": ("other", "/dev/core names the masked /proc/kcore, where runc looks first whether the host has one"),
    r"try a socket: vsock": ("stricter", "refused since Docker 23"),
    r"try a socket: alg": ("other", "refused by the filter, before the kernel is asked"),
    r"try io_uring_setup": ("other", "refused by the filter since Docker 25"),
}  # fmt: skip
# A user namespace: what is bound in place of a node made carries the host's flags and belongs to nobody in it.
REMAPPED = {
    r"mount /dev/(full|random|tty|urandom|zero)": "nodes cannot be made, so the host's are bound; nobody inside owns them",
    r"set device nodes": "their owner, who is nobody inside",
}


def unexplained(found: list[Difference]) -> list[Difference]:
    """The differences that EXPLAINED does not have, or has otherwise."""
    return [
        d for d in found
        if not any(re.fullmatch(field, d.field) and d.verdict == verdict for field, (verdict, _why) in EXPLAINED.items())
    ]  # fmt: skip


def test_a_default_container_is_no_weaker_than_dockers(ours: Callable[..., Answers], theirs: Answers) -> None:
    mine = ours()
    assert len(mine) > 200
    assert len([field for field in mine if field in theirs]) > 200
    assert unexplained(list(differences(mine, theirs))) == []


def test_the_comparison_sees_a_weaker_container(ours: Callable[..., Answers], theirs: Answers) -> None:
    weaker = {d.field for d in unexplained(list(differences(ours(Privileged=True), theirs))) if d.verdict == "weaker"}
    assert weaker > {
        "least Seccomp", "mount /proc/keys", "mount /sys", "see /sys/firmware", "set capabilities Bnd", "set device nodes",
        "set writable below /proc/sys", "set writable below /sys", "try mount proc", "try open kmsg",
        "try unshare a user namespace", "try write /proc/sys/kernel/core_pattern",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("host_config", "field"),
    [
        ({"CapAdd": ["SYS_PTRACE"]}, "set capabilities Eff"),
        ({"SecurityOpt": ["seccomp=unconfined"]}, "least Seccomp"),
        ({"SecurityOpt": ["systempaths=unconfined"]}, "mount /proc/keys"),
        ({"PidMode": "host"}, "set namespaces of the host: pid"),
        ({"NetworkMode": "host"}, "set namespaces of the host: net"),
        ({"Binds": ["/etc:/mnt"]}, "mount /mnt"),
        ({"DeviceCgroupRules": ["c 10:229 r"]}, "try open fuse"),
    ],
)
def test_the_comparison_sees_each_option(
    ours: Callable[..., Answers], theirs: Answers, host_config: dict[str, Any], field: str
) -> None:
    weaker = {d.field for d in unexplained(list(differences(ours(**host_config), theirs))) if d.verdict == "weaker"}
    assert field in weaker


def test_a_user_namespace_is_stricter(ours: Callable[..., Answers], theirs: Answers) -> None:
    found = list(differences(ours(UsernsMode="remap"), theirs))
    weaker = {d.field for d in found if d.verdict == "weaker"}
    assert {field for field in weaker if not any(re.fullmatch(known, field) for known in REMAPPED)} == set()
    assert {"set namespaces of the host: user", "try mknod mem"} <= {d.field for d in found if d.verdict == "stricter"}


def test_an_execd_process_is_held_as_the_container_is(root: Path, ours: Callable[..., Answers]) -> None:
    with open_engine(root) as engine:
        sleeper = {"Image": "lab", "Cmd": ["sleep", "1000"]}
        id = create.create(engine, sleeper, {"NetworkMode": "none"})["Id"]
        try:
            start.start(engine, id)
            mine = exec_probe(engine, id)
            with_privileges = exec_probe(engine, id, Privileged=True)
        finally:
            rm.rm(engine, id, force=True)
    assert list(differences(mine, ours())) == []
    assert [d.field for d in differences(with_privileges, ours()) if d.verdict == "weaker"]


def exec_probe(engine: Engine, id: str, **options: Any) -> Answers:
    """The probe's answers from one more process in the container."""
    asked = {"Cmd": command("self"), "AttachStdout": True, "Tty": False, **options}
    stream = exec.exec_start(engine, exec.exec_create(engine, id, asked)["Id"])
    assert stream is not None
    with stream, stream.makefile("rb") as file:
        output = b""
        while head := file.read(8):  # the Engine API's frames
            assert head[0] == 1, file.read()
            output += file.read(int.from_bytes(head[4:], "big"))
    return dict(json.loads(output))

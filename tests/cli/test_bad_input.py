"""Mistakes that only the engine can see: docker's words and exit code, no traceback, and nothing made.

Each call goes to the installed docker with a private dockerd (Debian 12's 20.10), and to us. Mistakes of the grammar alone
are compared in ``tests/unit/cli/test_like_docker.py``, where no daemon is needed.
"""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Iterator

import pytest

from tests.cli.conftest import MINIDOCK, Cli
from tests.cli.pair import Pair, state
from tests.cli.pair import pair as both

# After "run --rm --net=none" and before "busybox true", unless there is a whole command.
SAME_OPTIONS = """
--name 'a b'
--name ../x
--name a
--name up
--name /up
--name $'new\\nline'
-w relative
-w /etc/passwd
-w /etc/../etc/passwd/
-v {tmp}/dir:/etc/passwd -w /etc/passwd
-u nosuch
-u 0:nosuch
-m 1m
-m 5m
-m 20m --memory-swap 10m
--cpus 1000
--cpus -1
--memory-swap 5m
--oom-score-adj 2000
--shm-size -1
--stop-signal NOPE
--sysctl kernel.foo=1
--sysctl ../x=1
--sysctl net/../../kernel/core_pattern=1
--device /etc/passwd
--device /dev/null:/dev/x:q
--device /dev/null:../x:r
--device-cgroup-rule 'c 1:1 z'
--device-cgroup-rule 'c 1 r'
--ulimit nofile=5:2
--ulimit nosuch=5
--cap-add NOPE
--cap-drop NOPE
--security-opt foo=bar
--security-opt no-new-privileges=x
--security-opt systempaths=x
--log-opt foo=bar
--log-opt mode=x
-v relative/path:/x
-v /tmp:/
-v /tmp:relative
-v /tmp:/x:zz
-v /tmp:/x:ro,rw
-v a:b:c:d
-v {tmp}/loop:/x
-v /tmp:/x -v /etc:/x
-v /tmp:/x/../x -v /etc:/x
-v /tmp:/..
-v 'a b:/x'
--mount type=bind,src=/nosuch,dst=/x
--mount type=bind,src=rel,dst=/x
--mount type=bind,src=/tmp,dst=x
--mount type=bind,src=/tmp,dst=/
--mount type=bind,src=/tmp
--mount type=foo,src=/tmp,dst=/x
--mount type=bind,dst=/x
--mount type=tmpfs,src=/tmp,dst=/x
--mount type=bind,src=/tmp,dst=/x,bind-propagation=foo
--mount type=bind,src={tmp}/loop,dst=/x
--mount type=npipe,src=/tmp,dst=/x
--tmpfs /
--tmpfs x
--tmpfs /x:foo
--net=nosuch
--net=container:
--net=container:nosuch
--net=container:made
--net=container:up -h x
--net=container:up --dns 1.2.3.4
--net=container:up --add-host a:1.2.3.4
--pid container:nosuch
--ipc container:nosuch
--ipc container:up
--ipc foo
--uts host -h x
--runtime nosuch
"""
SAME = """
run --rm --net=none busybox nosuch
run --rm --net=none busybox ''
run --rm --net=none busybox '' x
run --rm --net=none busybox ' '
run -d --rm --net=none busybox ''
create --net=none -w /etc/passwd busybox
run --rm --net=none busybox /nosuch
run --rm --net=none busybox ./nosuch
run --rm --net=none busybox /etc/passwd
run --rm --net=none --entrypoint '' busybox
run -d --net=none --restart always:3 busybox true
create --net=none --name up busybox
stop nosuch
kill -s NOPE up
kill made
pause made
unpause up
rename up ''
exec made true
exec nosuch true
logs nosuch
logs --since zz up
top made
top nosuch
wait nosuch
attach made
attach nosuch
inspect nosuch
inspect -f '{{.Nope.Foo}}' up
export nosuch
rmi nosuch
rmi UPPER
history nosuch
tag nosuch x
tag busybox x:y:z
import {tmp}/nosuch x
import -c 'FOO bar' {tmp}/tar x
ps -f nope=x
ps -f status=foo
ps -f exited=x
ps -f health=foo
ps --format {{
images -f nope=x
images -f dangling=x
restart nosuch
restart -t x up
"""
# Where we say it otherwise, with the same exit code unless a code is given.
CLIENT = "docker's client parses references, ours leaves it to the engine"
EARLY = "we find it before anything is made; docker when it starts"
KNOWN: dict[str, tuple[str, int | None]] = {
    "run --rm --net=none Busybox true": (CLIENT, None),
    "run --rm --net=none '' true": (CLIENT, None),
    "tag busybox UPPER": (CLIENT, None),
    "run --rm --net=none busybox /etc": ("a directory is called one", None),
    "run --rm --net=none -w /etc/passwd/x busybox true": ("the same reason, without the host's paths", None),
    "run --rm --net=none -w /proc/self/fd/7 busybox true": ("refused by openat2, not by mkdir", None),
    "run --rm --net=none -u 99999999999 busybox true": ("we name the number", None),
    "run --rm --net=none --group-add nosuch busybox true": ("a small letter", None),
    "run --rm --net=none --sysctl net.nope=1 busybox true": ("docker takes this for a missing command", 125),
    "run --rm --net=none --sysctl net.ipv4.ip_forward=zzz busybox true": ("the step that failed is named", None),
    "run --rm --net=none --device /nosuch busybox true": ("docker takes this for a missing command", 125),
    "run --rm --net=none --security-opt seccomp={tmp}/bad.json busybox true": ("told when it is decoded", None),
    "run --rm --net=none --log-opt max-size=x busybox true": (EARLY, None),
    "run --rm --net=none --log-opt max-file=0 busybox true": (EARLY, None),
    "run --rm --net=none -v {tmp}/file/x:/x busybox true": (EARLY, None),
    "run --rm --net=none -v {tmp}/file:/etc busybox true": ("docker's hint, without runc's way there", None),
    "run --rm --net=none -v {tmp}/dir:/etc/passwd busybox true": ("docker's hint, without runc's way there", None),
    "run --rm --net=none -v /tmp:/proc busybox true": ("the same reason, without the host's paths", None),
    "run --rm --net=none -v /tmp:/proc/x busybox true": ("the same reason, without the host's paths", None),
    "run --rm --net=none -v /tmp:/proc/sys busybox true": ("the same reason, without the host's paths", None),
    "run --rm --net=none -v /tmp:/sys/x busybox true": ("the step that failed is named", None),
    "run --rm --net=none --pid container:made busybox true": ("said as for the network", None),
    "kill nosuch": ("without \"Cannot kill container\" before a container that is not there", None),
    "exec up nosuch": ("dockerd 20.10 writes it into the output and ends with 126", 127),
    "exec up /etc/passwd": ("dockerd 20.10 writes it into the output", 126),
    "exec -u nosuch up true": ("dockerd 20.10 writes it into the output", 126),
    "rename up made": ("without \"Error when allocating new name\" before it", None),
    "rename nosuch other": ("docker's client adds a summary", None),
    "load -i {tmp}/file": ("which part of the archive", None),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(instance: Cli, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    tmp = tmp_path_factory.mktemp("bad")
    (tmp / "dir").mkdir()
    (tmp / "file").write_text("x")
    (tmp / "loop").symlink_to("loop")
    (tmp / "bad.json").write_text('{"defaultAction": "NOPE"}')
    with tarfile.open(tmp / "tar", "w") as archive:
        archive.add(tmp / "file", "file")
    with both(instance, tmp, tmp_path_factory.mktemp("d")) as found:
        yield found


CALLS = [f"run --rm --net=none {options} busybox true" for options in SAME_OPTIONS.strip().splitlines()]
CALLS = [re.sub("--net=none (?=--net)", "", call) for call in CALLS] + SAME.strip().splitlines()


@pytest.mark.parametrize("call", CALLS)
def test_as_docker_says_it_and_nothing_is_made(pair: Pair, call: str) -> None:
    before = state(pair.cli.root)
    mine = pair.ours(call)
    assert state(pair.cli.root) == before
    assert mine == pair.theirs(call)
    assert mine[1] != 0


@pytest.mark.parametrize("call", KNOWN)
def test_said_otherwise(pair: Pair, call: str) -> None:
    """Where our words differ from docker's, the difference is the one that is written down with its reason, and no other."""
    why, code = KNOWN[call]
    before = state(pair.cli.root)
    mine = pair.ours(call)
    assert state(pair.cli.root) == before
    theirs = pair.theirs(call)
    assert mine != theirs, f"the same now, not: {why}"
    assert mine[1] == (theirs[1] if code is None else code)
    assert len(mine[0].splitlines()) == 1, mine


def test_the_comparison_can_fail(pair: Pair) -> None:
    before = state(pair.cli.root)
    assert pair.ours("stop nosuch") != pair.theirs("stop other")
    assert pair.ours("create --net=none --name=extra busybox")[1] == 0
    assert len(state(pair.cli.root) - before) >= 3  # the folder, the name, the layer
    pair.cli.ok("rm", "extra")
    assert state(pair.cli.root) == before


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((b"run", b"--rm", b"--net=none", b"busybox", b"echo", b"\xff\xfe"), 0, b"\xff\xfe\n"),
        ((b"run", b"--rm", b"--net=none", b"-e", b"A=\xff", b"busybox", b"env"), 0, b"A=\xff\n"),
        ((b"run", b"--rm", b"--net=none", b"--name", b"a\xff", b"busybox", b"true"), 125, b"Invalid container name"),
        ((b"run", b"--rm", b"\xff"), 125, b"invalid reference format"),
        ((b"inspect", b"\xff"), 1, b"invalid reference format"),
        ((b"rm", b"\xff"), 1, b"No such container"),
        ((b"ps", b"-f", b"name=\xff"), 0, b""),
        ((b"run", b"--rm", b"--env-file", b"\xff", b"busybox"), 125, b"no such file or directory"),
        ((b"import", b"/\xff"), 1, b"no such file or directory"),
        ((b"--root", b"/proc/\xff", b"ps"), 1, b"make the state directory"),
    ],
)
def test_bytes_that_are_no_text(instance: Cli, args: tuple[bytes, ...], code: int, words: bytes) -> None:
    result = subprocess.run([os.fsencode(MINIDOCK), *args], env=instance.env, capture_output=True, check=False)
    assert b"internal error" not in result.stderr
    assert b"Traceback" not in result.stderr
    assert (result.returncode, words in result.stdout + result.stderr) == (code, True), result

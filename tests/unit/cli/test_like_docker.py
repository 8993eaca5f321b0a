"""Every mistake on the command line, told in docker's words, call by call.

The words change from one docker to the next, and Debian 12 and 13 have older ones than we follow. So what docker 28 says is
kept in docker-28.json, and where docker 28 is installed it is asked again. It parses its flags before it looks for a daemon,
so no daemon is needed. Where ours says what docker leaves to its daemon, there is nothing to compare, and the call is not in
this list. ``python -m tests.unit.cli.test_like_docker`` asks for all of it anew.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from minidock.cli.main import main

RUN = [
    "run", "run --foo x", "run -m x b", "run -m", "run -z b", "run --tty=maybe b", "run -itx b", "run --it b", "run --name=",
    "run --=x b", "run --", "run -c", "run --env", "run -e", "run --name", "run -h", "run --help --foo", "run ---x b",
    "run --memory=1.5.5 b", "run -m 10x b", "run -m= b", "run -m 1zb b", "run --shm-size x b", "run -m=-5 b",
    "run --memory-swap x b", "run --ulimit x b", "run --ulimit nofile=a b", "run --ulimit nofile=5:2 b",
    "run --ulimit foo=2 b", "run --ulimit nofile=1:2:3 b", "run --ulimit =1 b", "run --ulimit nofile=-1:5 b",
    "run --ulimit nofile=1:a b", "run --ulimit nofile= b", "run --mount type=bind,x b", "run --mount type=bind,source=/a b",
    "run --mount foo=bar b", "run --mount= b", "run --mount type=tmpfs,destination=/x,tmpfs-size=q b",
    "run --mount type=tmpfs,destination=/x,tmpfs-mode=9 b", "run --mount type=bind,src=a,dst=/b,readonly=maybe b",
    "run --mount type=tmpfs,dst=/b,bind-propagation=rshared b", 'run --mount type=bind,"src=a b',
    'run --mount type=bind,s"rc=a b', 'run --mount "type=bind"x,dst=/b b',
    "run --mount type=bind,src=/a,dst=/b,volume-nocopy=true b", "run --mount target=/x,=y b",
    "run --mount type=bind,tmpfs-size=3,dst=/a b", "run --mount type=bind,bind-recursive=x,dst=/a b",
    "run --mount type=tmpfs,tmpfs-foo=x,dst=/a b", "run --mount volume-foo=x,dst=/a b", "run --add-host x b",
    "run --add-host x:y b", "run --add-host :1.2.3.4 b", "run --add-host a= b", "run --add-host a:01.2.3.4 b",
    "run --sysctl a b", "run --sysctl =b b", "run --sysctl kernel.foo=1 b", "run --sysctl kernel.msgmax b",
    "run --restart on-failure:x b", "run --restart :3 b", "run --restart a:b:c b", "run --rm --restart always b",
    "run --env-file /nope b", "run --label-file /nope b", "run -e =x b", "run -e= b", "run -l =x b", "run --label= b",
    "run --cpus x b", "run --cpus 1/3 b", "run --cpus 0.0000000001 b", "run -c x b", "run -c 99999999999999999999 b",
    "run -c 0x b", "run -c 09 b", "run -c 1_0x b", "run --pids-limit x b", "run --oom-score-adj x b",
    "run --stop-timeout x b", "run --cpu-period x b", "run --blkio-weight x b", "run --blkio-weight 70000 b",
    "run --blkio-weight -1 b", "run --memory-swappiness 200 b", "run --device-read-bps a b",
    "run --memory-swap=-2 b", "run --memory-reservation x b", "run --kernel-memory x b", "run --cpu-quota 1.5 b",
    "run --oom-kill-disable=maybe b", "run --memory-swappiness -2 b",
    "run --memory-swappiness 101 b", "run --memory-swappiness x b", "run --cpu-shares= b", "run --cpus= b", "run --cpus 1,5 b",
    "run --blkio-weight= b", "run --blkio-weight-device /dev/a:1001 b", "run --blkio-weight-device /dev/a: b",
    "run --device-write-bps /dev/a:-1 b", "run --device-read-iops /dev/a:1k b", "run --device-read-iops /dev/a:-1 b",
    "run --device-read-bps /dev/a:1zb b", "run --device-cgroup-rule= b", "run --pids-limit 1e3 b", "run --oom-score-adj 1.5 b",
    "run --device-read-bps /dev/a:x b", "run --device-write-iops /dev/a:x b", "run --device-read-bps a:1 b",
    "run --blkio-weight-device a b", "run --blkio-weight-device /dev/a:5 b", "run --device-cgroup-rule x b", "run -a foo b",
    "run --dns x b", "run --dns-search a!b b", "run --mac-address x b", "run --mac-address 01:02 b", "run --pid foo b",
    "run --pid container: b", "run --uts foo b", "run --userns foo b", "run --cgroupns foo b", "run --network= b",
    "run --network name=a,x b", "run --network name=a,x=y b", "run --network ip=1.2.3.4 b", "run --security-opt foo b",
    "run --security-opt seccomp=/nope b", "run --log-driver none --log-opt a=b b", "run --init=x b", "run --sig-proxy=x b",
    "run --rm=yes b", "run --pull foo b", "run --tty --tty=false --foo", "run -d -a stdout b", "run --cidfile /tmp b",
    "create", "create --foo b", "create -d b", "create --pid foo b", "create --env-file /nope b",
]  # fmt: skip
OTHERS = [
    "foo", "container foo", "image foo", "-z", "-D=x ps", "--log-level", "-l foo ps", "ps x", "ps -f x", "ps -n x",
    "ps --foo", "ps --format {{.Foo", "rm", "rm --foo", "rm -f", "kill", "kill -s", "stop -t x a", "stop -t", "logs",
    "logs a b", "tag a", "rename a", "exec a", "exec", "exec -e x=1 a", "exec -e = a b", "exec -w",
    "exec -dt --detach-keys a b", "exec --env-file /nope a b", "wait", "inspect", "history", "history -H=x a",
    "load -i /nope", "load x", "import", "import /nope", "export", "export a b", "top", "attach", "attach a b", "version foo",
    "info foo", "start", "restart", "pause", "unpause", "rmi", "container rm", "image rm", "container ls x",
    "container inspect", "image inspect", "inspect -f {{ a", "inspect -f {{foo}} a", "inspect -f {{.A}}{{end}} a",
    "inspect -f {{if}} a", "start a b -a", "container update", "update", "update a", "update -c", "update --foo a",
    "update -m x a", "update -m 1zb a", "update -m=-5 a", "update --memory-swap=-2 a", "update --memory-swap x a",
    "update --memory-reservation x a", "update --kernel-memory x a", "update --cpus x a",
    "update --cpus 1/3 a", "update -c x a", "update -c 99999999999999999999 a", "update --cpu-period x a",
    "update --cpu-quota 1.5 a", "update --pids-limit x a", "update --blkio-weight 70000 a", "update --blkio-weight -1 a",
    "update --restart on-failure:x a", "update --restart :3 a", "update --restart a:b:c a", "stats --foo", "stats -x",
    "stats --format", "stats --no-stream=maybe", "stats --all=2 a", "container stats --foo",
]  # fmt: skip


HELP = ["run", "ps", "images", "logs", "exec", "start", "stop", "kill", "rm", "inspect", "history", "stats",
        "update"]  # fmt: skip
VERSION = "28."
WORDS = Path(__file__).with_name("docker-28.json")


def ask(call: str) -> tuple[str, int]:
    """What the installed docker says on both streams, and its exit code."""
    env = {**os.environ, "DOCKER_HOST": "unix:///nonexistent.sock"}
    result = subprocess.run(
        ["docker", *call.split()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, check=False
    )
    return result.stdout, result.returncode


@cache
def recorded() -> dict[str, tuple[str, int]]:
    return {call: (text, code) for call, (text, code) in json.loads(WORDS.read_text()).items()}


@cache
def installed() -> bool:
    """Whether the docker that we follow is here."""
    return shutil.which("docker") is not None and ask("--version")[0].startswith(f"Docker version {VERSION}")


def docker(call: str) -> tuple[str, int]:
    """What docker says, in our name."""
    words = recorded()[call]
    if installed():
        assert ask(call) == words, "docker says something else now: record it again"
    return words[0].replace("docker", "minidock"), words[1]


def ours(call: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    """What we say, on both streams in order, and the exit code; no engine is made (the host is one that is not there)."""
    monkeypatch.setenv("MINIDOCK_HOST", "unix:///nonexistent.sock")
    said = io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(call.split())
    said.seek(0)
    return said.read(), code


@pytest.mark.parametrize("call", RUN + OTHERS)
def test_mistakes_sound_like_docker(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = docker(call)
    assert "Cannot connect" not in theirs[0], "docker found no mistake in this call: it belongs elsewhere"
    assert ours(call, monkeypatch) == theirs


def test_the_comparison_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ours("run --foo b", monkeypatch) != docker("run -z b")


def options(text: str) -> dict[str, str]:
    """Option name → its whole entry in a help text, the line breaks taken out."""
    found: dict[str, str] = {}
    name = ""
    for line in text.partition("Options:\n")[2].splitlines():
        if match := re.match(r"\s+(?:-\w, )?--([\w-]+)", line):
            name = match.group(1)
        if name:
            found[name] = " ".join([found.get(name, ""), *line.split()])
    return {name: re.sub(r" \(default (\[\]|map\[\]|0)\)", "", found[name]) for name in found}


@pytest.mark.parametrize("call", HELP)
def test_help_lists_options_as_docker_does(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each option of ours is docker's, with the same letter, kind and text."""
    theirs, mine = options(docker(f"{call} --help")[0]), options(ours(f"{call} --help", monkeypatch)[0])
    shorter = {"format", "cgroupns"}  # docker points to its web site in one, and explains the words of the other
    newer = {n for n in mine if call == "update" and n.startswith(("device-", "blkio-weight-device"))}  # docker 29's
    ours_alone = shorter | newer
    assert mine
    assert {n: t for n, t in mine.items() if n not in ours_alone} == {n: theirs.get(n) for n in mine if n not in ours_alone}


if __name__ == "__main__":
    if not installed():
        sys.exit(f"needs docker {VERSION}x")
    WORDS.write_text(json.dumps({call: ask(call) for call in (*RUN, *OTHERS, *(f"{c} --help" for c in HELP))}, indent=0) + "\n")

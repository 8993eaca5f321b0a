"""What each command loads, counted when it ends: a module is 0.15 ms that somebody waits for at every call.

A change that loads more is seen here before anybody measures it. Load what one case alone needs where that case is; raise a
number only for what every call of the command needs. `NEVER` is what is worth a name: each costs several modules' time.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

CHECKOUT = str(Path(__file__).resolve().parents[2])
# How bin/minidock starts (cli/launcher.py), and in the place of the last call a look at what is there by then.
CODE = f"""
import os, sys
sys.path.append({CHECKOUT!r})

def end(code):
    sys.stdout.flush()
    sys.stderr.write("\\n" + " ".join(sys.modules))
    sys.stderr.flush()
    leave(code)

leave, os._exit = os._exit, end
from minidock.cli.launcher import launch
launch()
"""
# verb: (modules of ours, modules in all)
BUDGET = {
    "exec warm true": (88, 180),
    "run --rm --net=none busybox true": (136, 232),
    "run -d --net=none busybox true": (134, 230),
    "start -a new": (125, 220),
    "ps": (95, 180),
    "kill warm": (81, 172),
    "rm -f warm": (92, 186),
    "--version": (18, 80),
}
NEVER = {
    "_hashlib": "OpenSSL",
    "argparse": "we have a grammar of our own",
    "asyncio": "there is nothing to wait for but one socket",
    "dataclasses": "writes and compiles source text; minidock.frozen does not",
    "docker": "-H alone needs it",
    "inspect": "dataclasses would load it",
    "logging": "a command says what it has to say",
    "random": "os.urandom does",
    "shlex": "the words have been split by the shell",
    "shutil": "loads all compressions",
    "site": "the launcher does without",
    "subprocess": "the zygote is spawned without",
    "tarfile": "only who unpacks needs it",
    "tempfile": "loads random and shutil",
}


def loaded(cli: Cli, *words: str) -> set[str]:
    """The modules that are there when ``minidock WORDS`` ends."""
    done = subprocess.run(
        [sys.executable, "-IS", "-c", CODE, *words], capture_output=True, text=True, env=cli.env, timeout=60, check=False
    )
    assert done.returncode == 0, done
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("verb", BUDGET)
def test_a_command_loads_no_more_than_its_budget(cli: Cli, background: Callable[..., str], verb: str) -> None:
    words = verb.split()
    if "warm" in words:
        background("--name=warm")
    if "new" in words:
        cli.ok("create", "--name=new", "--net=none", "busybox", "true")
    modules = loaded(cli, *words)
    ours, most = len([m for m in modules if m.partition(".")[0] == "minidock"]), BUDGET[verb]
    assert not {m: NEVER[m] for m in modules & set(NEVER)}
    assert ours <= most[0] and len(modules) <= most[1], f"{ours} of ours, {len(modules)} in all: {sorted(modules)}"


def test_what_a_command_loads_is_seen(cli: Cli) -> None:
    """A command that does need some of what is forbidden above."""
    archive = cli.root.parent / "nothing.tar"
    archive.write_bytes(b"\0" * 10240)
    assert {"tarfile", "shutil"} <= loaded(cli, "import", str(archive), "nothing:latest")
    cli.ok("rmi", "nothing:latest")

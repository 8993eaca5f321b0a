"""The command on an instance of its own, with the base image busybox in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minidock.daemon.base.paths import Paths
from minidock.daemon.system.teardown import teardown
from tests import leaks
from tests.cli.terminal import Terminal

MINIDOCK = str(Path(sys.executable).parent / "minidock")
Result = subprocess.CompletedProcess[str]


class Cli:
    """Calls ``minidock`` with the state in `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        leaks.claim(Paths.of(root).instance)
        self.env = {**os.environ, "MINIDOCK_ROOT": str(root), "TERM": "xterm"}
        self.env.pop("MINIDOCK_DEBUG", None)

    def __call__(self, *args: str, stdin: str = "", timeout: float = 60, **env: str) -> Result:
        return subprocess.run(
            [MINIDOCK, *args],
            input=stdin,
            capture_output=True,
            text=True,
            env={**self.env, **env},
            timeout=timeout,
            check=False,
        )

    def ok(self, *args: str, stdin: str = "") -> str:
        """Its standard output; anything but success is a failure of the test."""
        result = self(*args, stdin=stdin)
        assert result.returncode == 0, result
        return result.stdout

    def terminal(self, *args: str, rows: int = 30, columns: int = 100) -> Terminal:
        return Terminal([MINIDOCK, *args], self.env, rows, columns)


@pytest.fixture(scope="session")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("cli") / "root")
    cli.ok("bootstrap")
    cli.ok("run", "--rm", "busybox", "true")  # the zygote and the bridge are there from here on
    yield cli
    teardown(cli.root)


@pytest.fixture
def cli(instance: Cli) -> Iterator[Cli]:
    """The command, on an instance that has no containers before and after."""
    yield instance
    ids = instance.ok("ps", "-aq", "--no-trunc").split()
    if ids:
        instance.ok("rm", "-f", "-v", *ids)


@pytest.fixture
def background(cli: Cli) -> Callable[..., str]:
    """Start a container that sleeps; returns its id."""
    return lambda *options: cli.ok("run", "-d", "--net=none", *options, "busybox", "sleep", "1000").strip()

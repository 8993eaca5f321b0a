"""docker and minidock side by side: the same call to both, what each says of it, and what is made by it."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minidock.daemon.base.paths import Paths
from tests import peers
from tests.cli.conftest import MINIDOCK, Cli

WRAPPING = re.compile(
    r"failed to create shim task: |OCI runtime (create|exec) failed: |runc create failed: |"
    r"unable to start container process: |error during container init: |error setting cgroup config for procHooks process: |"
    r"exec failed: |: unknown$",
    re.M,
)


class Pair:
    """docker and minidock with the same image and the same two containers: up, which runs, and made, which never did."""

    def __init__(self, docker: peers.Dockerd, cli: Cli, tmp: Path) -> None:
        self.docker, self.cli, self.tmp = docker, cli, tmp

    def words(self, call: str) -> list[str]:
        """The call's arguments; ``$'…'`` as in a shell."""
        text = re.sub(
            r"\$'([^']*)'", lambda match: shlex.quote(match[1].replace("\\n", "\n")), call.replace("{tmp}", str(self.tmp))
        )
        return shlex.split(text)

    def theirs(self, call: str) -> tuple[str, int]:
        """What docker says, without the runtimes' wrapping, and its exit code."""
        result = self.docker(*self.words(call), check=False, stdin=b"")
        return said(WRAPPING.sub("", result.stderr.decode())), result.returncode

    def ours(self, call: str) -> tuple[str, int]:
        """What we say, and the exit code."""
        result = self.cli(*self.words(call))
        assert "Traceback" not in result.stderr, result.stderr
        assert "internal error" not in result.stderr, result.stderr
        return said(result.stderr), result.returncode


def said(stderr: str) -> str:
    """An error message without the program's name, ids, and where help is."""
    text = re.sub(r"\n*(Run|See) '(docker|minidock) .*", "", stderr, flags=re.S)
    return re.sub(r"\b[0-9a-f]{64}\b", "ID", re.sub(r"\b(docker|minidock)\b", "PROGRAM", text)).strip().removesuffix(".")


def state(root: Path) -> set[str]:
    """All that the instance has: folders, names, cgroups. Not the execs: as with docker, one that failed can be inspected."""
    paths = Paths.of(root)
    folders = [paths.containers, paths.tmp, paths.volumes, root / "overlay", root / "layers", paths.run]
    found = {str(entry) for folder in folders if folder.exists() for entry in folder.iterdir()}
    with sqlite3.connect(root / "linkgraph.db") as links:
        found |= {str(row) for table in ("names", "refs", "addresses") for row in links.execute(f"SELECT * FROM {table}")}
    links.close()
    return found | {str(group) for group in Path("/sys/fs/cgroup").glob(f"*/{paths.instance}/*") if group.is_dir()}


@contextmanager
def pair(cli: Cli, tmp: Path, daemon: Path) -> Iterator[Pair]:
    """Both, with the image and the two containers, and a private dockerd in `daemon`; all gone afterwards but the image."""
    up, made = (
        ("run", "-d", "--net=none", "--name=up", "busybox", "sleep", "1000"),
        ("create", "--net=none", "--name=made", "busybox"),
    )
    with peers.dockerd(daemon) as docker:
        cli.ok(*made)
        subprocess.run([MINIDOCK, "export", "-o", str(tmp / "busybox.tar"), "made"], env=cli.env, check=True)
        docker("import", "-c", 'CMD ["sh"]', str(tmp / "busybox.tar"), "busybox")
        cli.ok(*up)
        docker(*up)
        docker(*made)
        try:
            yield Pair(docker, cli, tmp)
        finally:
            cli.ok("rm", "-f", "up", "made")

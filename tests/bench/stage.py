"""What the experiments share: an instance of our own, OCI bundles, the timing worker, and a private dockerd on demand."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import minidock
from minidock.client.client import DockerClient
from minidock.daemon.system.teardown import teardown
from minidock.graph.bootstrap import bootstrap
from minidock.graphdriver.overlay import filesystem
from minidock.linux import mount, namespaces
from tests.bench.peers import Worker, bundle
from tests.peers import Dockerd, dockerd

COMMAND = str(Path(sys.executable).with_name("minidock"))


def tmpfs_on_run() -> None:
    """Give this process and its children a tmpfs on /run, as every machine with systemd has one: run directories live there,
    ours as well as runc's. In a mount namespace of our own; nothing to do where /run is one already."""
    if filesystem("/run") == "tmpfs":
        return
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mount.mount("", "/", "", mount.MS_PRIVATE | mount.MS_REC)
    mount.mount("tmpfs", "/run", "tmpfs", mount.MS_NOSUID | mount.MS_NODEV, "mode=755")
    os.mkdir("/run/lock")


class Stage:
    """Use it in a ``with``: at its end nothing of the bench is left on the machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self._stack = ExitStack()

    def __enter__(self) -> Stage:
        self._stack.callback(teardown, self.root)
        self._stack.callback(os.environ.__setitem__, "MINIDOCK_ROOT", os.environ.get("MINIDOCK_ROOT", ""))
        os.environ["MINIDOCK_ROOT"] = str(self.root)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # commands are measured as users have them: compiled before
        bootstrap(self.client.api.engine.images, lambda line: None)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @cached_property
    def client(self) -> DockerClient:
        """The embedded client."""
        client = minidock.from_env(self.root)
        self._stack.callback(client.close)
        return client

    @cached_property
    def worker(self) -> Worker:
        """Times whole commands."""
        return self._stack.enter_context(Worker(self.root))

    @cached_property
    def bundle(self) -> Path:
        """An OCI bundle that runs ``true``."""
        return bundle(self.folder / "bundle", ["true"])

    @cached_property
    def docker(self) -> Dockerd:
        """A private dockerd with a bridge and our busybox image in it."""
        folder = self.folder / "d"
        folder.mkdir()
        engine = self._stack.enter_context(dockerd(folder, bridge=True))
        name = self.client.api.create_container("busybox", "true")["Id"]
        archive = b"".join(self.client.api.export(name))
        self.client.api.remove_container(name)
        engine("import", "-c", 'CMD ["sh"]', "-", "busybox:latest", stdin=archive)
        return engine

    def zygotes(self) -> list[int]:
        """The pids of this instance's zygotes."""
        return list(self.client.api.engine.execdriver.versions().values())  # type: ignore[attr-defined]

    def minidock(self, *args: str) -> str:
        """Run our command once; its output."""
        return subprocess.run([COMMAND, *args], check=True, capture_output=True, text=True).stdout

"""The engine: which parts it is made of, and nothing else. What it does is in one file per verb.

Any number of processes may each have an `Engine` on one root at once; what they share is on disk, in linkgraph.db and in the
shims. An engine holds only what may be lost: open connections to the containers it started (`Exits`), and attach streams for
containers that are about to be started (`pending`).

Parts are imported and made when they are first used: a ``minidock ps`` never pays for the storage driver.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from minidock.daemon.base.paths import Paths
from minidock.daemon.record.pending import Pending
from minidock.errors import SystemFault
from minidock.linkgraph import LinkGraph
from minidock.linux import files, trace

if TYPE_CHECKING:
    from minidock.daemon.exits.owners import Exits, Owned
    from minidock.daemon.record.container import Container
    from minidock.daemon.record.network import Networks
    from minidock.execdriver import ExecDriver
    from minidock.graph.store import ImageStore
    from minidock.graphdriver import GraphDriver


class Engine:
    """One instance, seen from this process.

    `root` is the state root (default: MINIDOCK_ROOT, else /var/lib/minidock); `storage_driver` is overlay or vfs (default:
    what the root already has, else the best that works); `userns_remap` puts every container into a user namespace
    ("default", or a user with lines in /etc/subuid and /etc/subgid). What killed processes left half done is left as it is:
    `daemon.open_engine` cleans up first. Raises SystemFault if the root cannot be used.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        *,
        storage_driver: str | None = None,
        userns_remap: str = "",
    ) -> None:
        self.paths = Paths.of(root)
        self.userns_remap = userns_remap
        self._storage_driver = storage_driver
        try:
            self.paths.make()
        except OSError as error:
            raise SystemFault.from_oserror("make the state directory", error) from error
        self.pending = Pending()

    @cached_property
    def id(self) -> str:
        """The instance's id, made when the root is first used."""
        path = self.paths.root / "instance.json"
        with files.flock(self.paths.root / "instance.lock"):
            if not path.exists():
                files.write_atomic(path, json.dumps({"name": self.paths.instance, "id": os.urandom(16).hex()}))
            return str(json.loads(path.read_text())["id"])

    @cached_property
    def links(self) -> LinkGraph:
        """What is unique: names, image references, addresses."""
        return LinkGraph(self.paths.root / "linkgraph.db")

    @cached_property
    def layers(self) -> GraphDriver:
        """The storage driver."""
        from minidock.graphdriver.select import driver

        return driver(self.paths.root, self._storage_driver)

    @cached_property
    def images(self) -> ImageStore:
        """Images and their layers."""
        from minidock.graph.store import ImageStore

        return ImageStore(self.paths.root, self.layers, self.links)

    @cached_property
    def execdriver(self) -> ExecDriver:
        """What runs containers."""
        from minidock.execdriver.native import Native

        return Native(self.paths.run, self.paths.instance)

    @cached_property
    def exits(self) -> Exits:
        """The exits that this process looks after. A restart is a start: here `exits` gets what lies above it."""
        from minidock.daemon.exits.owners import Exits

        def start(engine: Engine, container: Container) -> Owned:
            from minidock.daemon.containers.start import start_locked

            return start_locked(engine, container)

        return Exits(self, start)

    @cached_property
    def networks(self) -> Networks:
        """Network drivers by name."""
        from minidock.daemon.record.network import Networks

        return Networks(self.paths, self.links)

    @contextmanager
    def trace(self, plan: trace.FaultPlan | None = None) -> Iterator[list[trace.Step]]:
        """Record every syscall-level step of what runs inside the ``with``: the list fills as steps are made.

        The shim's and init's steps come home with the shim's messages and are sorted in at the end. `plan` makes one step
        fail (see ``linux/trace.py``).
        """
        tracer = trace.Tracer("engine", plan)
        before = trace.install(tracer)
        try:
            yield tracer.steps
        finally:
            trace.install(before)
            tracer.steps.sort(key=lambda step: step.start)

    def close(self) -> None:
        """Let go of what this process holds. Containers go on."""
        if "exits" in self.__dict__:
            self.exits.close()
        self.pending.close()
        if "links" in self.__dict__:
            self.links.close()
        if "layers" in self.__dict__:
            from minidock.graphdriver.scratch import Scratch

            Scratch.of(self.paths.tmp).close()
        close = getattr(self.__dict__.get("execdriver"), "close", None)
        if close is not None:
            close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

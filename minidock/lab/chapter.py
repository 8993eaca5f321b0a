"""A chapter while it runs: its marks, its engine, its scratch folder, and the two cells that open and close it.

The first cell of every notebook is ``chapter = begin("03-namespaces", needs=[…])``: it takes away what an earlier kernel of
the same chapter left and shows the preflight table. The last is ``chapter.end()``: it removes the chapter's containers and
asserts that nothing is left. In between `run` and `background` mark what they start, and the cell magic ``%%child`` runs a cell
in a Python process of its own, so that it may change its namespaces while the notebook stays where it is.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import minidock
from minidock.lab import cleanup, verdicts
from minidock.lab.preflight import Report, preflight


class Chapter:
    """One chapter's run in this kernel. `name` is the notebook's stem; `client` is ``minidock.from_env()``."""

    def __init__(self, name: str, needs: Sequence[str] = ()) -> None:
        self.name = name
        self.marks = cleanup.Marks(name)
        self.needs = tuple(needs)
        self.environment = {**os.environ, **self.marks.environment}
        self._before: set[cleanup.Leftover] = set()

    @cached_property
    def client(self) -> Any:
        """The engine, through docker-py's front: ``minidock.from_env()``."""
        return minidock.from_env()

    @property
    def engine(self) -> Any:
        """The engine itself, for ``engine.trace()``: it runs in this process."""
        return self.client.api.engine

    @property
    def labels(self) -> dict[str, str]:
        """The label that each of the chapter's containers carries."""
        return {cleanup.LABEL: self.name}

    @property
    def scratch(self) -> Path:
        """The chapter's own folder for files and mounts, made when first asked for; gone after `end`."""
        self.marks.scratch.mkdir(mode=0o700, exist_ok=True)
        return self.marks.scratch

    @property
    def disk(self) -> Path:
        """The chapter's own folder for what must lie on a disk (swap file, loop device), made when first asked for."""
        self.marks.disk.mkdir(mode=0o700, exist_ok=True)
        return self.marks.disk

    def begin(self) -> Report:
        """Take away what a dead kernel of this chapter left, say so, look for the images; returns the preflight table."""
        left = [*self._remove_containers(), *cleanup.take_away(self.marks)]
        if left:
            print(f"taken away from an earlier run: {len(left)} thing(s): {', '.join(map(str, left[:6]))}")  # noqa: T201
        self._before = self._now()
        absent = [ref for ref in ("busybox:latest", "lab:latest") if not self._has_image(ref)]
        if absent:
            print(f"not there yet: {' '.join(absent)}. Type  ./lab setup  (or: minidock bootstrap)")  # noqa: T201
        return preflight(self.needs)

    def run(self, image: str, command: str | list[str] | None = None, **options: Any) -> Any:
        """``client.containers.run`` with the chapter's label; network "none" unless another is asked for."""
        options.setdefault("network_mode", "none")
        options["labels"] = {**options.get("labels", {}), **self.labels}
        return self.client.containers.run(image, command, **options)

    def containers(self) -> list[Any]:
        """The chapter's containers, running or not."""
        found: list[Any] = self.client.containers.list(all=True, filters={"label": f"{cleanup.LABEL}={self.name}"})
        return found

    def background(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        """Start a marked process of the host in the background (no container): subprocess.Popen with text pipes."""
        options.setdefault("stdout", subprocess.PIPE)
        return subprocess.Popen(list(argv), env=self.environment, text=True, **options)

    def end(self) -> str:
        """Remove the chapter's containers and marks; assert that nothing is left. Returns the verdict line.

        Raises AssertionError that names each thing left behind.
        """
        self._remove_containers()
        cleanup.take_away(self.marks)
        left = [*cleanup.marked(self.marks), *sorted(self._new(), key=str)]
        assert not left, f"left behind: {', '.join(map(str, left))}"
        return verdicts.fact("nothing left behind (mounts, links, cgroups, rules, processes, containers)", True)

    def _new(self) -> set[cleanup.Leftover]:
        """What is there now, was not there at the beginning, and belongs to no container that still exists."""
        belongs = {f"ve{i[:n]}" for i in self._ids() for n in range(6, 14)}
        return {x for x in self._now() - self._before if x.name not in belongs}

    def _now(self) -> set[cleanup.Leftover]:
        paths = self.engine.paths
        bridge = "minidock0" if paths.instance == "minidock" else f"md-{paths.instance.rpartition('-')[2]}"
        return cleanup.snapshot(paths.root, bridge) | cleanup.orphans(paths.instance, self._ids())

    def _ids(self) -> list[str]:
        return [str(c.id) for c in self.client.containers.list(all=True)]

    def _has_image(self, ref: str) -> bool:
        return any(ref in image.tags for image in self.client.images.list())

    def _remove_containers(self) -> list[cleanup.Leftover]:
        gone = []
        for container in self.containers():
            gone.append(cleanup.Leftover("container", str(container.name)))
            container.remove(force=True, v=True)
        return gone


_current: Chapter | None = None


def current() -> Chapter:
    """The chapter that `begin` opened in this kernel. Raises RuntimeError before that."""
    if _current is None:
        raise RuntimeError("run the chapter's first cell: begin(…)")
    return _current


def begin(name: str, needs: Sequence[str] = ()) -> Chapter:
    """Open the chapter `name`: load its exercises, clean up after a dead kernel, show the preflight table."""
    global _current
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where the minidock command is
    importlib.import_module(f"minidock.lab.exercises.ch{name.partition('-')[0]}")
    _current = Chapter(name, needs)
    _current = Chapter(name, needs)
    _magic()
    report = _current.begin()
    from minidock.lab import widgets

    widgets.show(report)
    return _current


def _magic() -> None:
    """Give the notebook ``%%child``: the cell as a Python program of its own, its output below the cell."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.register_magic_function(_child, "cell", "child")


def _child(line: str, cell: str) -> None:
    """Run `cell` with this Python in a new process; `line` holds arguments for its sys.argv. An error raises."""
    done = subprocess.run(
        [sys.executable, "-c", cell, *line.split()],
        env=current().environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    print(done.stdout, end="")  # noqa: T201
    if done.returncode:
        raise RuntimeError(f"the child ended with {done.returncode}:\n{done.stderr}")

"""Files of this machine as a root file system: which libraries a program needs, and a tar of it all, always the same."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from minidock.errors import NotSupported
from minidock.graph.archive.pack import END

SEARCH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PYTHON = "/usr/bin/python3"  # the system's, whatever virtual environment we run in
# Parts of the standard library that no experiment needs.
PRUNED = {"test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "pydoc_data", "dist-packages"}
_LDD_LINE = re.compile(r"\s(/\S+) \(0x[0-9a-f]+\)$")
_CHUNK = 1 << 20


def find(program: str) -> str | None:
    """Where a program is on this machine, or None."""
    path = shutil.which(program, path=SEARCH)
    return os.path.realpath(path) if path else None


def libraries(binaries: Sequence[str]) -> list[str]:
    """The shared libraries and the loader that the programs need, as the paths where they look for them (ldd(1)).

    A static program needs none.
    """
    done = subprocess.run(["ldd", *binaries], capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
    return sorted({match[1] for line in done.stdout.splitlines() if (match := _LDD_LINE.search(line))})


def applets(busybox: str) -> list[str]:
    """The names under which busybox does something."""
    done = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    return sorted(name for name in done.stdout.split() if name != "busybox")


def python(tree: Tree) -> list[str]:
    """Put the system's Python and its standard library into `tree`; returns the files whose libraries are needed."""
    ask = "import sys, sysconfig; print(sys.version_info[0], sys.version_info[1], sysconfig.get_path('stdlib'), sep='\\n')"
    done = subprocess.run([PYTHON, "-ISc", ask], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotSupported(f"bootstrap needs the system's Python as {PYTHON}: apt-get install python3")
    major, minor, library = done.stdout.splitlines()
    binary, version = os.path.realpath(PYTHON), f"python{major}.{minor}"
    tree.copy(f"usr/bin/{version}", binary)
    for name in ("python3", "python"):
        tree.symlink(f"usr/bin/{name}", version)
    return [binary, *tree.copy_tree(library.lstrip("/"), library)]


def state_of(path: str) -> list[Any]:
    """What tells that a source has changed: [path, size or 0 for a folder, mtime in ns]."""
    status = os.stat(path)
    return [path, 0 if stat.S_ISDIR(status.st_mode) else status.st_size, status.st_mtime_ns]


def unchanged(sources: Sequence[Sequence[Any]]) -> bool:
    """Whether every source is as `state_of` saw it."""
    try:
        return all(list(source) == state_of(source[0]) for source in sources)
    except FileNotFoundError:
        return False


@dataclass
class _Node:
    """One member: of type `kind` (tarfile's), from the host file `source`, or with `text`, or pointing to `target`."""

    kind: bytes
    mode: int
    source: str = ""
    text: bytes = b""
    target: str = ""
    mtime: int = 0


@dataclass
class Tree:
    """A root file system being put together. Paths have no leading "/". Everything belongs to root."""

    nodes: dict[str, _Node] = field(default_factory=dict)
    sources: list[list[Any]] = field(default_factory=list)
    time: int = 0  # of the newest source, in seconds: the time of all that has none of its own

    def directory(self, path: str, mode: int = 0o755) -> None:
        """An empty directory, with the ones above it."""
        above = os.path.dirname(path)
        if above and above not in self.nodes:
            self.directory(above)
        self.nodes[path] = _Node(tarfile.DIRTYPE, mode)

    def _add(self, path: str, node: _Node) -> None:
        above = os.path.dirname(path)
        if above not in self.nodes:
            self.directory(above)
        self.nodes[path] = node

    def text(self, path: str, text: str, mode: int = 0o644) -> None:
        """A file with these contents."""
        self._add(path, _Node(tarfile.REGTYPE, mode, text=text.encode()))

    def symlink(self, path: str, target: str) -> None:
        """A symbolic link."""
        self._add(path, _Node(tarfile.SYMTYPE, 0o777, target=target))

    def hard_link(self, path: str, target: str) -> None:
        """A second name of the file `target`, which sorts before `path` or is written first anyway."""
        self._add(path, _Node(tarfile.LNKTYPE, 0o755, target=target))

    def copy(self, path: str, source: str) -> None:
        """A copy of a host file, and of its mode and time; set-user-ID is dropped."""
        self._watch(source)
        self._copy(path, source, os.stat(source))

    def copy_tree(self, path: str, source: str) -> list[str]:
        """A copy of the Python library `source` without what nobody needs; returns its shared objects."""
        objects = []
        for folder, names, files in os.walk(source):
            names[:] = sorted(name for name in names if name not in PRUNED and not name.startswith("config-"))
            self._watch(folder)  # dpkg replaces a file by renaming: the folder's time tells
            inside = os.path.join(path, os.path.relpath(folder, source)) if folder != source else path
            for name in sorted(files):
                full = os.path.join(folder, name)
                status = os.lstat(full)
                if stat.S_ISREG(status.st_mode):  # links lead to /etc: left out
                    self._copy(os.path.join(inside, name), full, status)
                    objects += [full] if name.endswith(".so") else []
        return objects

    def _watch(self, source: str) -> None:
        state = state_of(source)
        self.sources.append(state)
        self.time = max(self.time, state[2] // 10**9)

    def _copy(self, path: str, source: str, status: os.stat_result) -> None:
        mtime = int(status.st_mtime)
        self._add(path, _Node(tarfile.REGTYPE, status.st_mode & 0o755, source=source, mtime=mtime))
        self.time = max(self.time, mtime)

    def tar(self) -> Pieces:
        """The tree as a tar, to be read once."""
        return Pieces(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        links = [path for path, node in self.nodes.items() if node.kind == tarfile.LNKTYPE]
        for path in [*sorted(self.nodes.keys() - set(links)), *sorted(links)]:
            yield from self._member(path, self.nodes[path])
        yield END

    def _member(self, path: str, node: _Node) -> Iterator[bytes]:
        info = tarfile.TarInfo(path)
        info.type, info.mode, info.linkname = node.kind, node.mode, node.target
        info.mtime = node.mtime or self.time
        if not node.source:
            info.size = len(node.text)
            yield info.tobuf(tarfile.PAX_FORMAT) + node.text + bytes(-info.size % tarfile.BLOCKSIZE)
            return
        with open(node.source, "rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            yield info.tobuf(tarfile.PAX_FORMAT)
            left = info.size
            while left > 0:
                data = file.read(min(left, _CHUNK)) or bytes(min(left, _CHUNK))
                left -= len(data)
                yield data
        yield bytes(-info.size % tarfile.BLOCKSIZE)


class Pieces:
    """An iterator of bytes as a stream to read from."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, n: int = -1) -> bytes:
        """At most `n` bytes; b"" at the end."""
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        data, self._rest = (self._rest, b"") if n < 0 else (self._rest[:n], self._rest[n:])
        return data

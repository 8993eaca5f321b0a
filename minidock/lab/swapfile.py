"""A swap file for an experiment: made, used before every other one, and taken away whatever happens.

::

    <folder>/swap        allocated, mkswap(8), swapon(8) with the highest priority        /proc/swaps lists it
    swapoff(8), unlink   at the end of the `with`, or of the chapter, or at the next start after a dead kernel

The folder is one that `cleanup` knows (`Chapter.disk`), so that a swap file whose maker died is found in /proc/swaps and
switched off before its file goes: a swap file that was deleted while in use could not be named any more, until the next boot.

Swap wants a file whose blocks lie on a disk: tmpfs, overlay and a file with holes are refused by the kernel (swapon(8)).
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

HIGHEST = 32767  # swapon(2): the area with the highest priority is filled first, so what we measure goes into ours
_NOT_COPIED_ON_WRITE = "+C"  # chattr(1): what btrfs asks of a swap file; other file systems refuse the flag, and need none


@dataclass(frozen=True)
class Area:
    """One line of /proc/swaps (proc(5)): the file or device, its `size` and what is `used` of it in bytes, its priority."""

    path: str
    size: int
    used: int
    priority: int


def areas(text: str | None = None) -> list[Area]:
    """The swap areas in use, from /proc/swaps, or from its `text`. A space in a path is written there as \\040."""
    lines = (Path("/proc/swaps").read_text() if text is None else text).splitlines()[1:]
    found = []
    for path, _kind, size, used, priority in (line.split() for line in lines):
        found.append(Area(path.replace("\\040", " "), int(size) * 1024, int(used) * 1024, int(priority)))
    return found


class SwapFile:
    """`size` bytes of swap in the file `path`, in use from the call until `remove` or the end of the ``with``.

    Raises OSError when there is no room for it, and subprocess.CalledProcessError (with what swapon(8) said) when the
    kernel does not take it; nothing is left behind then.
    """

    def __init__(self, path: str | os.PathLike[str], size: int) -> None:
        self.path = Path(path)
        # root alone may read it: what lies in swap is other processes' memory. A file that is there is not ours: EEXIST
        fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        with ExitStack() as undo:
            undo.callback(self.path.unlink, missing_ok=True)
            _allocate(fd, self.path, size)
            _run("mkswap", str(self.path))
            undo.callback(switch_off, self.path)
            _run("swapon", "--priority", str(HIGHEST), str(self.path))
            self._undo = undo.pop_all()

    def area(self) -> Area | None:
        """Its line in /proc/swaps; None when it is not in use."""
        return next((a for a in areas() if a.path == str(self.path)), None)

    def remove(self) -> None:
        """Switch it off (the kernel brings back what is in it) and delete the file. Repeatable."""
        self._undo.close()

    def __enter__(self) -> SwapFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()


def switch_off(path: str | os.PathLike[str]) -> None:
    """swapoff(8) of `path`, if it is in use. Raises subprocess.CalledProcessError when its pages find no room in memory."""
    if any(a.path == str(path) for a in areas()):
        _run("swapoff", str(path))


def _allocate(fd: int, path: Path, size: int) -> None:
    """Give the empty file `path` (open as `fd`, closed here) `size` bytes, without holes."""
    try:
        subprocess.run(["chattr", _NOT_COPIED_ON_WRITE, str(path)], capture_output=True, check=False)
        os.posix_fallocate(fd, 0, size)
    finally:
        os.close(fd)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)

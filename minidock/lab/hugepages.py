"""Some huge pages for an experiment, given back whatever happens.

The pool is the machine's (``/proc/sys/vm/nr_hugepages``), so its size is written down in the chapter's folder *before* it is
changed; `cleanup` finds the note after a dead kernel.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from minidock.lab import workspace

POOL = Path("/proc/sys/vm/nr_hugepages")
_NOTE = "nr_hugepages"


@contextlib.contextmanager
def more(pages: int, folder: Path) -> Iterator[int]:
    """Ask for `pages` huge pages more than there are; yields how many really came (memory may be fragmented).

    Raises OSError when this kernel has no huge pages (FileNotFoundError) or does not let us (PermissionError).
    """
    before = int(POOL.read_text())
    note = folder / _NOTE
    workspace.write_text(note, str(before))
    try:
        POOL.write_text(str(before + pages))
        yield int(POOL.read_text()) - before
    finally:
        put_back(folder)


def put_back(folder: Path) -> None:
    """Give the pool the size that was written down in `folder`, if one was."""
    note = folder / _NOTE
    if note.exists():
        POOL.write_text(note.read_text())
        note.unlink()


def default_size() -> int:
    """Bytes of one huge page of the pool (Hugepagesize in /proc/meminfo). Raises LookupError: a kernel without."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Hugepagesize:"):
            return int(line.split()[1]) * 1024
    raise LookupError("this kernel has no huge pages (HUGETLBFS)")


def unit(size: int) -> str:
    """A page size as the cgroup's file names spell it: 2097152 → ``"2MB"``, 1073741824 → ``"1GB"``, 65536 → ``"64KB"``."""
    for shift, name in ((30, "GB"), (20, "MB"), (10, "KB")):
        if size >> shift:
            return f"{size >> shift}{name}"
    raise ValueError(f"no page size: {size}")

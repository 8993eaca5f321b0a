"""What is dear to make is made once: kernels, the environment's image, and whether KVM works here.

::

    /var/cache/minidock-vm              ~/.cache/minidock-vm for a plain user
      lock                              held (flock) by whoever makes something
      kernels/<package>/                vmlinuz, release, lib/modules/<release>
      environments/<key>.ext4           the key is a hash over the files that went in
      kvm.json                          the outcome of the trial boot, and on what it was made

Everything is made under another name and renamed when it is whole: a build that was killed leaves nothing that counts.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def directory() -> Path:
    """The cache's place, made when it is missing."""
    place = Path("/var/cache/minidock-vm") if os.geteuid() == 0 else Path.home() / ".cache/minidock-vm"
    place.mkdir(parents=True, exist_ok=True)
    return place


@contextmanager
def lock() -> Iterator[None]:
    """One maker at a time; a second waits and then finds the thing made."""
    with open(directory() / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def made(place: Path, build: Callable[[Path], None]) -> Path:
    """`place`, a file or a folder, built by ``build(temporary path)`` unless it is there."""
    if not place.exists():
        with lock():
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                half = place.with_name(f"{place.name}.half")
                remove(half)
                try:
                    build(half)
                    os.rename(half, place)
                finally:
                    remove(half)
    return place


def remove(path: Path) -> None:
    """Take a file or a folder away, be it there or not."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""A disk whose power can be cut: an ext4 on a loop device, and a look at what had reached it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 96 << 20  # bytes


class Disk:
    """`path` is where it is mounted, `image` the file that is the disk."""

    def __init__(self, folder: Path) -> None:
        self.path, self.image, self._after = folder / "disk", folder / "image", folder / "after"
        for point in (self.path, self._after):
            point.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(SIZE)
        subprocess.run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        # noauto_da_alloc: without it a rename over another file writes the bytes too, as a favor of ext4's alone
        subprocess.run(["mount", "-o", "loop,noauto_da_alloc", self.image, self.path], check=True)

    @contextmanager
    def after_a_cut(self) -> Iterator[Path]:
        """What would be there if the power were cut now, and a moment after somebody else's fsync: the names, that is."""
        with open(self.path / "somebody's", "w") as other:
            other.write("x")
            other.flush()
            os.fsync(other.fileno())
        found = self.image.with_name("copy")
        shutil.copyfile(self.image, found)
        subprocess.run(["mount", "-o", "loop", found, self._after], check=True)
        try:
            yield self._after
        finally:
            _umount(self._after)
            found.unlink()

    def close(self) -> None:
        """Take it away."""
        _umount(self.path)
        self.image.unlink()


def _umount(path: Path) -> None:
    """umount(8); a process that is just ending may hold it for a moment."""
    deadline = time.monotonic() + 10
    while subprocess.run(["umount", path], check=False, capture_output=True).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} stays in use")
        time.sleep(0.05)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of this test's own."""
    made = Disk(tmp_path)
    try:
        yield made
    finally:
        made.close()

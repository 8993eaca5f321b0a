"""A disk for an experiment: a file behind a loop device with a file system on it, taken away whatever happens.

::

    <folder>/NAME.img          the file: as many bytes as the disk has
    /dev/loopN                 losetup(8): the block device that limits and weights are set on (its own number, M:N)
    <folder>/NAME.scheduler    the I/O scheduler that the device had, when another was chosen: put back at the end
    <folder>/NAME              the mount point of its ext4

Limits and schedulers can be tried on it to the heart's content: the machine's own disk keeps its settings. A loop device keeps
the scheduler it was given even when its file is gone, so the earlier one is written down *before* it is changed, where
`cleanup` finds it after a dead kernel.

`disk_of` answers the other question, which disk a path lies on: limits go to whole disks, never to partitions (the kernel
refuses those with ENODEV).
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from minidock.libcontainer.cgroups.hierarchy import hierarchies

# No journal: its thread writes in its own name, and the experiment is about who writes. No lazy work in the background either.
_EXT4 = ("-q", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard")


@dataclass(frozen=True)
class Disk:
    """A whole disk: its `name` ("vda"), and the `major` and `minor` number that cgroup files know it by."""

    name: str
    major: int
    minor: int

    @property
    def path(self) -> str:
        """Its device node, as docker's ``--device-write-bps`` wants it."""
        return f"/dev/{self.name}"

    @property
    def number(self) -> str:
        """``"254:0"``, as the cgroup's files spell it."""
        return f"{self.major}:{self.minor}"

    def schedulers(self) -> tuple[str, list[str]]:
        """The I/O scheduler in force, and those that could be (Documentation/block/switching-sched.rst)."""
        words = Path(f"/sys/block/{self.name}/queue/scheduler").read_text().split()
        names = [w.strip("[]") for w in words]
        return next((n for n, w in zip(names, words, strict=True) if w.startswith("[")), "none"), names

    def count(self) -> None:
        """Have cgroup v1 count this disk's I/O for each group. On v2 that is always so, and nothing is done.

        Since Linux 6.10 blk-throttle sleeps until a limit is set on a disk, and v1's counters (``blkio.throttle.io_service_…``)
        sleep with it. A rate of 0 sets none (Documentation/admin-guide/cgroup-v1/blkio-controller.rst), and wakes it.
        """
        tree = next((h for h in hierarchies() if h.version == 1 and "blkio" in h.controllers), None)
        if tree is not None:
            Path(tree.mountpoint, "blkio.throttle.write_bps_device").write_text(f"{self.number} 0")

    def sectors(self) -> dict[str, int]:
        """Bytes read from and written to the whole disk since boot, by anybody (Documentation/block/stat.rst)."""
        fields = Path(f"/sys/block/{self.name}/stat").read_text().split()
        return {"read": int(fields[2]) * 512, "write": int(fields[6]) * 512}


def disk_of(path: str | os.PathLike[str]) -> Disk | None:
    """The whole disk that `path` lies on (a partition's parent). None: no block device is behind it (tmpfs, a network).

    A file system with a number of its own (btrfs, some overlays) is followed to the device named in /proc/self/mountinfo.
    """
    number = os.stat(path).st_dev
    folder = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not folder.exists():
        source = _mount_source(f"{os.major(number)}:{os.minor(number)}")
        if source is None:
            return None
        number = os.stat(source).st_rdev
        folder = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    real = folder.resolve()
    if (real / "partition").exists():
        real = real.parent
    major, minor = map(int, (real / "dev").read_text().split(":"))
    return Disk(real.name, major, minor)


class LoopDisk:
    """A disk of `size` bytes in `folder`, its file system mounted; in use until `remove` or the end of the ``with``.

    `scheduler` ("bfq") is given to the loop device only. Raises OSError, or subprocess.CalledProcessError with what the
    program said; ValueError for a scheduler that this kernel does not have. Nothing is left behind then.
    """

    def __init__(self, folder: str | os.PathLike[str], size: int, *, name: str = "disk", scheduler: str | None = None) -> None:
        self.image, self.mount = Path(folder, f"{name}.img"), Path(folder, name)
        with ExitStack() as undo:
            with open(self.image, "xb") as file:  # a file that is there is not ours
                undo.callback(self.image.unlink, missing_ok=True)
                os.posix_fallocate(file.fileno(), 0, size)
            device = _run("losetup", "--find", "--show", str(self.image))
            undo.callback(detach, device)
            number = os.stat(device).st_rdev
            self.disk = Disk(Path(device).name, os.major(number), os.minor(number))
            self.disk.count()
            undo.callback(put_scheduler_back, self.disk.name, self.image)
            if scheduler:
                self._schedule(scheduler)
            _run("mkfs.ext4", *_EXT4, device)
            undo.callback(_take_down, self.mount)
            self.mount.mkdir()
            _run("mount", device, str(self.mount))
            self._undo = undo.pop_all()

    def _schedule(self, wanted: str) -> None:
        """Choose the scheduler `wanted`, the earlier one written down first. Asked for it, the kernel loads its module."""
        now, possible = self.disk.schedulers()
        _note(self.image).write_text(now)
        try:
            Path(f"/sys/block/{self.disk.name}/queue/scheduler").write_text(wanted)
        except OSError as e:
            known = ", ".join(possible)
            raise ValueError(f"{self.disk.name} cannot be scheduled by {wanted} ({e.strerror}), only by: {known}") from None

    def remove(self) -> None:
        """Unmount, put the scheduler back, detach, delete. Repeatable."""
        self._undo.close()

    def __enter__(self) -> LoopDisk:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()


def detach(device: str, patience: float = 5.0) -> None:
    """losetup --detach of `device`, and wait until its file is let go: udev may look at it for a moment (at most `patience` s).

    Raises TimeoutError when somebody else keeps the device open.
    """
    _run("losetup", "--detach", device)
    backing, deadline = Path(f"/sys/block/{Path(device).name}/loop/backing_file"), time.monotonic() + patience
    while backing.exists():  # the kernel tells nobody when the last one closes a loop device
        if time.monotonic() > deadline:
            raise TimeoutError(f"{device} is still in use")
        time.sleep(0.01)


def put_scheduler_back(name: str, image: str | os.PathLike[str]) -> None:
    """Give the loop device `name` the scheduler that was written down beside its file `image`, if one was."""
    note = _note(Path(image))
    if note.exists():
        Path(f"/sys/block/{name}/queue/scheduler").write_text(note.read_text())
        note.unlink()


def _take_down(point: Path) -> None:
    """Unmount `point`, also when a container still has it (its own mount goes with it), and remove the folder."""
    if os.path.ismount(point):
        _run("umount", "--lazy", str(point))
    if point.exists():
        point.rmdir()


def _note(image: Path) -> Path:
    return image.with_suffix(".scheduler")


def _mount_source(number: str) -> str | None:
    """The device node that is mounted as the file system with the device number `number`; None if it is none."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        source = right.split()[1]
        if left.split()[2] == number and source.startswith("/dev/"):
            return source
    return None


def _run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

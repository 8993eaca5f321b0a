"""The overlay driver: each layer a directory, stacked by the kernel's overlayfs when a container needs them.

::

    ROOT/overlay/<id>/
        diff/     what this layer adds and changes; a whiteout (character device 0:0) is a deletion
        work/     overlayfs's own scratch, beside diff because it renames between the two
        lower     the ids of all parents, topmost first, joined with ":" (empty for a base layer)

    mount:  lowerdir = <parent>/diff : <grandparent>/diff : …    upperdir = <id>/diff    workdir = <id>/work

Docker's overlay2 has the same, with a further directory ``l/`` of short symlinks: mount(2) takes one page of options, and 128
full paths do not fit. We need none: `RootMount` names the directories, and whoever mounts adds them one by one
(``lowerdir+``, kernel 6.5) or from inside the common directory.

A layer is made in ``ROOT/tmp`` and renamed into place, and renamed away before it is deleted: `exists` is never wrong.

See Documentation/filesystems/overlayfs.rst and moby ``daemon/graphdriver/overlay2``.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from minidock import errors
from minidock.graphdriver import Change
from minidock.graphdriver.detached import detached
from minidock.graphdriver.scratch import Scratch
from minidock.graphdriver.tree import overlaid
from minidock.libcontainer.config import RootMount
from minidock.linux.trace import step

MAX_DEPTH = 128  # lower layers of one layer, overlay2's number; the kernel's own limit is 500 (OVL_MAX_STACK)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@contextmanager
def fault(what: str, id: str) -> Iterator[None]:
    """Errors of the machine become SystemFault, with the step and the path."""
    try:
        yield
    except OSError as e:
        raise errors.SystemFault.from_oserror(f"{what} {id}", e) from e


def checked(id: str) -> str:
    """The id, if it is fit to be a file name of ours; InvalidParameter otherwise."""
    if not _ID.fullmatch(id):
        raise errors.InvalidParameter(f"invalid layer id {id!r}")
    return id


class Overlay:
    """GraphDriver over overlayfs. `home` is ``ROOT/overlay``; half-made layers are in ``ROOT/tmp``."""

    name = "overlay"

    def __init__(self, home: Path) -> None:
        self._home = os.fspath(home)
        self.scratch = Scratch.of(os.path.join(os.path.dirname(self._home), "tmp"))
        os.makedirs(self._home, mode=0o700, exist_ok=True)

    def create(self, id: str, parent: str | None, *, owner: tuple[int, int] = (0, 0)) -> Path:
        """Make an empty layer on `parent`; returns its diff directory.

        The root of the new layer takes the mode of the parent's root, or of "/" as usual (0755): overlayfs shows the
        topmost. Raises InvalidParameter (no such parent, too deep), Conflict (`id` is there), SystemFault.
        """
        final = os.path.join(self._home, checked(id))
        with fault("create layer", id), ExitStack() as undo:
            lower = [parent, *self._parents(parent)] if parent is not None else []
            if len(lower) > MAX_DEPTH:
                raise errors.InvalidParameter("max depth exceeded")
            mode = os.stat(os.path.join(self._home, lower[0], "diff")).st_mode & 0o7777 if lower else 0o755
            half = self.scratch.name("layer")
            undo.callback(self.scratch.discard, half)
            os.mkdir(half, 0o700)
            for name in ("diff", "work"):
                path = os.path.join(half, name)
                os.mkdir(path)
                os.chmod(path, mode if name == "diff" else 0o700)
                if owner != (0, 0):
                    os.chown(path, *owner)
            with open(os.path.join(half, "lower"), "w", encoding="ascii") as file:
                file.write(":".join(lower))
            try:
                with step("create layer", final):
                    os.rename(half, final)
                    undo.callback(self.remove, id)
            except FileExistsError:
                raise errors.Conflict(f"layer {id} exists") from None
            except OSError as e:
                raise errors.Conflict(f"layer {id} exists") if e.errno == errno.ENOTEMPTY else e from None
            undo.pop_all()
        return Path(final, "diff")

    def remove(self, id: str) -> None:
        """Delete the layer. Silently does nothing if it is not there. Raises SystemFault."""
        with fault("remove layer", id), step("remove layer", id):
            self.scratch.discard(os.path.join(self._home, checked(id)))

    def exists(self, id: str) -> bool:
        """Whether the layer is there, whole (layers appear by rename)."""
        return os.path.exists(os.path.join(self._home, checked(id), "lower"))

    def _parents(self, id: str) -> list[str]:
        """The ids below `id`, topmost first. Raises InvalidParameter if there is no such layer."""
        try:
            with open(os.path.join(self._home, checked(id), "lower"), encoding="ascii") as file:
                text = file.read()
        except FileNotFoundError:
            raise errors.InvalidParameter(f"layer {id} does not exist") from None
        return text.split(":") if text else []

    def _diff(self, id: str) -> str:
        return os.path.join(self._home, id, "diff")

    def root(self, id: str, *, readonly: bool = False) -> RootMount:
        """The directories to mount. A read-only view of a single layer is a bind: overlayfs wants two."""
        with fault("read layer", id):
            lower = tuple(self._diff(parent) for parent in self._parents(id))
        if not readonly:
            return RootMount("overlay", lower, self._diff(id), os.path.join(self._home, id, "work"))
        if not lower:
            return RootMount("bind", source=self._diff(id), readonly=True)
        return RootMount("overlay", (self._diff(id), *lower), readonly=True)

    @contextmanager
    def mounted(self, id: str, *, readonly: bool = True) -> Iterator[Path]:
        """Mount the tree for the time of a ``with``; no mount table shows it (detached.py). Raises SystemFault.

        Not for a layer that a running container writes to: the kernel says the result is undefined.
        """
        root = self.root(id, readonly=readonly)
        with ExitStack() as stack:
            with fault("mount layer", id):
                path = stack.enter_context(detached(root, self.scratch))
            yield path

    def changes(self, id: str) -> list[Change]:
        """What the layer's diff says against its parents: only the diff is walked. Raises SystemFault."""
        with fault("diff layer", id):
            return overlaid(self._diff(id), [self._diff(parent) for parent in self._parents(id)])

    def status(self) -> list[tuple[str, str]]:
        """The rows of ``docker info``."""
        return [("Backing Filesystem", filesystem(self._home)), ("Supports d_type", "true"), ("Native Overlay Diff", "true")]

    def metadata(self, id: str) -> dict[str, str]:
        """GraphDriver.Data of inspect, in docker's keys. MergedDir is where nothing is mounted on the host: see `mounted`."""
        root = self.root(id)
        lower = {"LowerDir": ":".join(root.lower)} if root.lower else {}
        home = os.path.join(self._home, id)
        return {**lower, "MergedDir": os.path.join(home, "merged"), "UpperDir": root.upper, "WorkDir": root.work}


def filesystem(path: str) -> str:
    """The type of the file system that `path` is on, "ext4", as /proc/self/mountinfo has it."""
    device = os.stat(path).st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.split() for line in file]
    found = [fields[fields.index("-") + 1] for fields in lines if fields[2] == name]
    return found[-1] if found else "unknown"

"""Where one instance keeps everything. One state root is one instance.

::

    ROOT = /var/lib/minidock (MINIDOCK_ROOT overrides)     0700
      instance.json         {"name": …, "id": …, "boot_id": …}
      linkgraph.db          names, image references, addresses (minidock/linkgraph.py)
      containers/<id>/      lock  config.json  run.json  exit.json  hostname hosts resolv.conf  <id>-json.log
      volumes/<name>/_data  what a container's volume holds
      seccomp/<hash>.bpf    compiled profiles
      records.jsonl         what happened to containers: oom, pause, update
      tmp/<id>/             a container being made or being removed; its ``lock`` is held by whoever is at it
    RUN = /run/<instance>
      <id>/                 from the begin of a start to the end of what is due after the exit: shim.sock, restart.sock
      exec/<execid>.*       one more process in a container: .json, .sock, .run.json, .exit.json
    /<instance>/<id>        in every cgroup hierarchy

`tmp/<id>` and `RUN/<id>` are what makes a kill -9 harmless: whatever is found there without a living owner was left half
done, and the next engine takes it back (``exits/reconcile.py``). An exec's files lie in one folder for the whole instance,
because an exec is looked up by its id alone and a unix socket's path has 107 bytes (unix(7)).
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple

from minidock.errors import SystemFault
from minidock.linux import files
from minidock.sha256 import sha256

DEFAULT_ROOT = "/var/lib/minidock"


class Paths(NamedTuple):
    """The folders of one instance, and its name."""

    root: Path
    instance: str
    run: Path

    @classmethod
    def of(cls, root: str | os.PathLike[str] | None = None) -> Paths:
        """The paths of the instance whose state is in `root` (default: ``MINIDOCK_ROOT``, else /var/lib/minidock)."""
        absolute = os.path.realpath(root or os.environ.get("MINIDOCK_ROOT") or DEFAULT_ROOT)
        name = "minidock"
        if absolute != DEFAULT_ROOT:
            name = f"minidock-{sha256(os.fsencode(absolute)).hexdigest()[:8]}"
        return cls(Path(absolute), name, Path("/run") / name)

    @property
    def containers(self) -> Path:
        """One folder per container that is whole."""
        return self.root / "containers"

    @property
    def tmp(self) -> Path:
        """Half-made and half-removed things."""
        return self.root / "tmp"

    @property
    def volumes(self) -> Path:
        """One folder per volume."""
        return self.root / "volumes"

    @property
    def seccomp(self) -> Path:
        """Compiled seccomp profiles."""
        return self.root / "seccomp"

    @property
    def exec(self) -> Path:
        """Run files of execs."""
        return self.run / "exec"

    def container(self, id: str) -> Path:
        """The folder of one container."""
        return self.root / "containers" / id

    def run_dir(self, id: str) -> Path:
        """The run folder of one container; it exists from the begin of a start to the end of what follows the exit."""
        return self.run / id

    def shim_socket(self, id: str) -> str:
        """Where the container's shim listens."""
        return f"{self.run}/{id}/shim.sock"

    def cgroup(self, id: str, parent: str = "") -> str:
        """The container's cgroup, below the mount point of every hierarchy. `parent`: HostConfig's CgroupParent."""
        return f"{self.cgroup_parent(parent)}/{id}"

    def cgroup_parent(self, parent: str) -> str:
        """What ``--cgroup-parent`` names (see ``cgroup_parent.py``); the instance's own cgroup if it names nothing."""
        below = os.path.normpath(f"/{parent}").strip("/")  # no ".." leads out
        if not parent.startswith("/"):
            below = f"{self.instance}/{below}"
        return f"/{below}".rstrip("/")

    @property
    def records(self) -> Path:
        """What happened to containers (``records.py``)."""
        return self.root / "records.jsonl"

    def exit_entry(self, id: str, run: int) -> tuple[str, ...]:
        """argv of the entry that a shim without an owner execs after the exit (``exits/entry.py``)."""
        return (sys.executable, "-m", "minidock.daemon.exits.entry", str(self.root), id, str(run))

    def make(self) -> None:
        """Make the folders that are missing, for root's eyes only. Raises OSError; SystemFault for a folder that others have,
        or had, a hand in."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_private(self.root)
        for directory in (self.containers, self.tmp, self.volumes, self.seccomp, self.run):
            if not directory.is_dir():
                directory.mkdir(mode=0o700, exist_ok=True)
                files.spread(directory)
        make_private(self.run)
        self.exec.mkdir(mode=0o700, exist_ok=True)


def make_private(directory: Path) -> None:
    """See to it that `directory` is ours alone (0700), so that everything below it can be trusted.

    Where others could look or write until now it is closed first; then nothing in it may be a link or somebody else's. A folder
    that is in use for something else (MINIDOCK_ROOT led to /etc) is not touched. Raises SystemFault.
    """
    step, me = "use the state directory", os.geteuid()
    status = os.lstat(directory)
    if not stat.S_ISDIR(status.st_mode):
        raise SystemFault(step, str(directory), errno.ENOTDIR)
    if status.st_uid != me:
        raise SystemFault(step, str(directory), errno.EPERM, f"it belongs to user {status.st_uid}")
    if not status.st_mode & 0o077:
        return
    entries = os.listdir(directory)
    if entries and "containers" not in entries and "linkgraph.db" not in entries:
        raise SystemFault(step, str(directory), errno.EPERM, "it is open to others, and holds something that is not minidock's")
    os.chmod(directory, 0o700)
    for entry in os.scandir(directory):
        if entry.is_symlink() or entry.stat(follow_symlinks=False).st_uid != me:
            os.chmod(directory, stat.S_IMODE(status.st_mode))  # refused again the next time, until somebody has looked
            raise SystemFault(
                step, entry.path, errno.EPERM, "somebody else put it there while the directory was open to others"
            )

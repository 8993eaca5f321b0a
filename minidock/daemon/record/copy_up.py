"""A new volume begins with what the image has at its place."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from minidock.linux import trace
from minidock.linux.openat2 import openat2

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


def copy_up(engine: Engine, layer: str, destination: str, data: Path) -> None:
    """Fill a new volume with what the image has at its place. Links in the image lead nowhere outside it."""
    with ExitStack() as stack:
        root = os.open(stack.enter_context(engine.layers.mounted(layer)), os.O_PATH | os.O_CLOEXEC)
        stack.callback(os.close, root)
        try:
            source = openat2(root, destination, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        stack.callback(os.close, source)
        status = os.fstat(source)
        with trace.step("copy up", data):
            shutil.copytree(f"/proc/self/fd/{source}", data, symlinks=True, dirs_exist_ok=True, copy_function=_copy_file)
            _copy_owners(source, data)
        os.chown(data, status.st_uid, status.st_gid)
        os.chmod(data, status.st_mode & 0o7777)


def _copy_file(source: str, target: str) -> None:
    shutil.copy2(source, target, follow_symlinks=False)


def _copy_owners(source: int, data: Path) -> None:
    """Give every copied file the owner it has in the image."""
    for path, directories, names, at in os.fwalk(".", dir_fd=source):
        for name in (*directories, *names):
            status = os.stat(name, dir_fd=at, follow_symlinks=False)
            os.chown(data / path / name, status.st_uid, status.st_gid, follow_symlinks=False)

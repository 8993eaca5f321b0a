"""Deleting a folder of ours, which most often has nothing but files in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from minidock.linux import trace


def remove_tree(directory: Path) -> None:
    """Delete a folder of ours, if it is there; another process may be at it too. Raises OSError."""
    if directory.exists():
        with trace.step("rmtree", directory), suppress(FileNotFoundError):
            for entry in list(os.scandir(directory)):
                if entry.is_dir(follow_symlinks=False):
                    _remove_below(entry.path)
                    continue
                with suppress(FileNotFoundError):
                    os.unlink(entry.path)
            directory.rmdir()


def _remove_below(path: str) -> None:
    import shutil  # which loads all compressions, 2 ms: a folder in one of ours is a volume's

    shutil.rmtree(path, onerror=_unless_gone)


def _unless_gone(_function: Callable[..., Any], _path: str, problem: tuple[Any, BaseException, Any]) -> None:
    if not isinstance(problem[1], FileNotFoundError):
        raise problem[1]

"""What a process may do: capabilities, and the system calls that seccomp lets through."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from minidock.libcontainer.capabilities import for_container as capabilities

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["capabilities", "profile_path"]


def profile_path(profile: str | None, bounding: Collection[str], cache: Path) -> str:
    """The compiled profile's file, see `libcontainer.seccomp.profile_path`. Loaded here, because most commands need none."""
    from minidock.libcontainer import seccomp

    return seccomp.profile_path(profile, bounding, cache)

"""The ceiling above all containers of an instance, read back from the kernel (chapter 00, section 6)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minidock.libcontainer import cgroups


@dataclass(frozen=True)
class Ceiling:
    """What the parent cgroup allows all containers together: `memory` and the machine's `total` in bytes, `pids` processes
    (None: no bound)."""

    memory: int
    total: int
    pids: int | None


def ceiling(engine: Any) -> Ceiling:
    """Read the limits of the engine's parent cgroup. Raises FileNotFoundError before the instance has run a container."""
    paths = cgroups.manager(f"/{engine.paths.instance}").paths()
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if cgroups.version() == 2:
        folder = Path(next(iter(paths.values())))
        memory, pids = (folder / "memory.max").read_text().strip(), (folder / "pids.max").read_text().strip()
    else:
        memory = Path(paths["memory"], "memory.limit_in_bytes").read_text().strip()
        pids = Path(paths["pids"], "pids.max").read_text().strip()
    return Ceiling(total if memory == "max" else int(memory), total, None if pids == "max" else int(pids))

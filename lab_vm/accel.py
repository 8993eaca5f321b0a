"""Who computes: the processor itself (KVM), or qemu in software (TCG, about ten times slower).

That /dev/kvm exists says little: in a nested machine a guest may stand still in its first instruction. So one trial decides:
a guest that runs ``true`` has to be done within TRIAL seconds. The outcome is remembered for this host kernel, this qemu and
this guest kernel.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lab_vm import cache, qemu
from lab_vm.errors import VMError
from lab_vm.kernel import Kernel

TRIAL = 10.0  # seconds; with KVM a boot takes about one


def accelerator(kernel: Kernel, trial: Callable[[str, float], int]) -> str:
    """``kvm`` when a trial boot works, or did before; ``tcg`` otherwise. ``trial(accel, seconds)`` boots `kernel` with it."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    tried_on = {"host": os.uname().release, "guest": kernel.release, "qemu": _version()}
    note = cache.directory() / "kvm.json"
    known = _read(note)
    if known and known["on"] == tried_on:
        return str(known["accel"])
    try:
        accel = "kvm" if trial("kvm", TRIAL) == 0 else "tcg"
    except VMError:
        accel = "tcg"
    half = note.with_name(f"kvm.json.{os.getpid()}")
    half.write_text(json.dumps({"accel": accel, "on": tried_on}))
    os.rename(half, note)
    return accel


def _version() -> str:
    """qemu's identity without starting it: its file's size and time."""
    program = shutil.which(qemu.board().program)
    info = os.stat(program) if program else None
    return f"{info.st_size} {info.st_mtime_ns}" if info else ""


def _read(note: Path) -> dict[str, object] | None:
    try:
        known = json.loads(note.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return known if isinstance(known, dict) and {"accel", "on"} <= known.keys() else None

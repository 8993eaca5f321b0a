"""Whether a request's resource options are of the types that the Engine API has for them.

A daemon gets them as JSON, and Go's decoder refuses what does not fit; here they may come from Python, and the words are the
same: dockerd 20.10 names the field by its path through the structs (``HostConfig.HostConfig.Memory``, ``UpdateConfig.Memory``).
"""

from __future__ import annotations

from collections.abc import Mapping

from minidock.errors import InvalidParameter

INT64 = (
    "CpuShares",
    "CpuPeriod",
    "CpuQuota",
    "NanoCpus",
    "CpuPercent",
    "Memory",
    "MemorySwap",
    "MemoryReservation",
    "MemorySwappiness",
    "KernelMemory",
    "PidsLimit",
    "OomScoreAdj",
)
STRING = ("CpusetCpus", "CpusetMems", "CgroupParent")
# Lists of {"Path", number}: field → (the number's name, its type, Go's struct).
DEVICES = {
    "BlkioWeightDevice": ("Weight", "uint16", "WeightDevice"),
    **dict.fromkeys(
        ("BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps"),
        ("Rate", "uint64", "ThrottleDevice"),
    ),
}
_RANGES = {"int64": (-(1 << 63), (1 << 63) - 1), "uint64": (0, (1 << 64) - 1), "uint16": (0, (1 << 16) - 1)}


def check(host_config: Mapping[str, object], *, update: bool = False) -> None:
    """Whether each value in `host_config` has its type. None fits everywhere: it is a field that is not there.

    `update`: it is the body of an update, and called so. Raises InvalidParameter for the first that does not fit.
    """
    where = "" if update else "HostConfig."
    owner = "UpdateConfig." if update else f"HostConfig.{where}"
    for key in INT64:
        _fits(host_config.get(key), f"{owner}{key}", "int64")
    _fits(host_config.get("BlkioWeight"), f"{owner}BlkioWeight", "uint16")
    for key in STRING:
        _fits(host_config.get(key), f"{owner}{key}", "string")
    _fits(host_config.get("OomKillDisable"), f"{owner}OomKillDisable", "bool")
    for key, (number, kind, struct) in DEVICES.items():
        entries = host_config.get(key)
        if not isinstance(entries, list | tuple | None):
            raise _refused(entries, f"{owner}{key}", f"[]*blkiodev.{struct}")
        for entry in entries or ():
            if not isinstance(entry, dict):
                raise _refused(entry, f"{owner}{key}", f"blkiodev.{struct}")
            _fits(entry.get("Path"), f"{struct}.{where}{key}.Path", "string")
            _fits(entry.get(number), f"{struct}.{where}{key}.{number}", kind)


def _fits(value: object, field: str, kind: str) -> None:
    if value is None:
        return
    if kind in _RANGES:
        least, most = _RANGES[kind]
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    else:
        fits = isinstance(value, str if kind == "string" else bool)
    if not fits:
        raise _refused(value, field, kind)


def _refused(value: object, field: str, kind: str) -> InvalidParameter:
    """What Go's encoding/json says: of a number its text only if the field is a number too."""
    if isinstance(value, bool):
        given = "bool"
    elif isinstance(value, int | float):
        given = f"number {value}" if kind in _RANGES else "number"
    elif isinstance(value, list | tuple):
        given = "array"
    else:
        given = "string" if isinstance(value, str) else "object"
    return InvalidParameter(f"json: cannot unmarshal {given} into Go struct field {field} of type {kind}")

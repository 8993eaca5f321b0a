"""Sizes, CPU fractions and per-device limits. Source: docker/go-units size.go, docker/cli opts/throttledevice.go."""

from __future__ import annotations

import re
from typing import Any

from minidock.cli.grammar import values
from minidock.cli.grammar.quote import quote
from minidock.cli.opts import BadValue

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def ram_in_bytes(text: str) -> int:
    """``64m``, ``1.5g``, ``512KiB``, ``2 gb`` → bytes, in powers of 1024 (units.RAMInBytes)."""
    split = max(text.rfind(c) for c in "0123456789. ")
    if split < 0:
        raise BadValue(f"invalid size: '{text}'")
    number = text[:split] if text[split] == " " else text[: split + 1]
    suffix = text[split + 1 :].lower()
    if not _FLOAT.fullmatch(number):
        raise BadValue(f"strconv.ParseFloat: parsing {quote(number)}: invalid syntax")
    size = float(number) * _multiplier(suffix)
    if not 0 <= size < 1 << 63:
        raise BadValue(f"invalid size: '{text}'")
    return int(size)


def _multiplier(suffix: str) -> int:
    if suffix in ("", "b"):
        return 1
    if suffix[0] not in _UNITS or suffix[1:] not in ("", "b", "ib"):
        raise BadValue(f"invalid suffix: '{suffix}'")
    return _UNITS[suffix[0]]


def memory_swap(text: str) -> int:
    """A size, or -1 for no limit."""
    return -1 if text == "-1" else ram_in_bytes(text)


def nano_cpus(text: str) -> int:
    """``1.5`` → 1500000000 billionths of a CPU (HostConfig.NanoCpus)."""
    from fractions import Fraction

    try:
        if not re.fullmatch(r"[-+0-9./eE]+", text):
            raise ValueError
        nano = Fraction(text) * 10**9
    except (ValueError, ZeroDivisionError):
        raise BadValue(f"failed to parse {text} as a rational number") from None
    if nano.denominator != 1:
        raise BadValue("value is too precise")
    return int(nano)


def weight_device(text: str) -> dict[str, Any]:
    """``/dev/sda:200`` → {"Path", "Weight"}; the weight is 0 or 10 to 1000."""
    path, value = _device_and_value(text)
    wrong = BadValue(f"invalid weight for device: {text}")
    try:
        weight = values.uint16(value)
    except BadValue:
        raise wrong from None
    if weight and not 10 <= weight <= 1000:
        raise wrong
    return {"Path": path, "Weight": weight}


def throttle_bps(text: str) -> dict[str, Any]:
    """``/dev/sda:1mb`` → {"Path", "Rate"} in bytes per second."""
    path, value = _device_and_value(text)
    try:
        return {"Path": path, "Rate": ram_in_bytes(value)}
    except BadValue:
        raise BadValue(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def throttle_iops(text: str) -> dict[str, Any]:
    """``/dev/sda:1000`` → {"Path", "Rate"} in operations per second."""
    path, value = _device_and_value(text)
    if not value.isdecimal() or int(value[:25]) >= 1 << 64:
        raise BadValue(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(value)}


def _device_and_value(text: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not colon:
        raise BadValue(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise BadValue(f"bad format for device path: {text}")
    return path, value

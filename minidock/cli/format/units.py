"""Sizes and durations for people, as docker writes them. Source: docker/go-units size.go and duration.go."""

from __future__ import annotations

import time

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def human_size(size: float, precision: int = 3) -> str:
    """1240000 → ``1.24MB``: powers of 1000. docker's lists use 3 digits, other places of it 4."""
    return _scaled(size, 1000.0, _DECIMAL, precision)


def bytes_size(size: float) -> str:
    """1288490188 → ``1.2GiB``: powers of 1024, four digits (``info``'s Total Memory)."""
    return _scaled(size, 1024.0, _BINARY, 4)


def _scaled(size: float, base: float, units: tuple[str, ...], precision: int) -> str:
    step = 0
    while size >= base and step < len(units) - 1:
        size /= base
        step += 1
    return f"{size:.{precision}g}{units[step]}"


def human_duration(seconds: float) -> str:
    """90.0 → ``About a minute``, 200000.0 → ``2 days`` (units.HumanDuration)."""
    whole = int(seconds)
    minutes, hours = whole // 60, int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    for limit, hours_each, name in (
        (48, 1, "hours"),
        (24 * 14, 24, "days"),
        (24 * 60, 24 * 7, "weeks"),
        (24 * 730, 24 * 30, "months"),
    ):
        if hours < limit:
            return f"{hours // hours_each} {name}"
    return f"{int(seconds / 3600 / 24 / 365)} years"


def ago(epoch: float) -> str:
    """``2 minutes ago``, for a time in seconds since 1970."""
    return human_duration(time.time() - epoch) + " ago"


def local_time(epoch: float, zone: str = "%z %Z") -> str:
    """``2015-03-30 09:38:11 +0000 UTC``: how Go prints a time, in the local zone."""
    return time.strftime(f"%Y-%m-%d %H:%M:%S {zone}", time.localtime(epoch))

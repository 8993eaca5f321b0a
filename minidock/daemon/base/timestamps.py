"""Times as the Engine API writes them (RFC 3339, nanoseconds, UTC) and as docker says them ("4 minutes")."""

from __future__ import annotations

import re
import time

from minidock.errors import InvalidParameter

ZERO = "0001-01-01T00:00:00Z"  # Go's zero time: "never"
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?$")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def now() -> str:
    """The time now, as text."""
    return from_ns(time.time_ns())


def from_ns(ns: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 text, without trailing zeros, as Go's RFC3339Nano has it."""
    seconds, fraction = divmod(ns, 10**9)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    tail = f"{fraction:09d}".rstrip("0")
    return f"{text}.{tail}Z" if tail else f"{text}Z"


def to_ns(text: str) -> int:
    """RFC 3339 text as nanoseconds since 1970 (0 for the zero time or nothing). Raises ValueError."""
    if not text or text == ZERO:
        return 0
    match = _RFC3339.match(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    from datetime import UTC, datetime  # here, because most commands only write times, and it is 1 ms

    base, fraction, zone = match.groups()
    moment = datetime.fromisoformat(base + ("+00:00" if zone in (None, "Z") else zone))
    return int(moment.astimezone(UTC).timestamp()) * 10**9 + int((fraction or "0").ljust(9, "0"))


def parse_when(value: str | int | float | None, what: str) -> int:
    """``--since`` and ``--until`` of logs: Unix seconds (with a fraction), RFC 3339, or a Go duration before now, in ns.

    Returns 0 for nothing. Raises InvalidParameter in docker's words.
    """
    if value in (None, "", 0, "0"):
        return 0
    text = str(value)
    if re.fullmatch(r"\d+(\.\d{1,9})?", text):
        seconds, _, fraction = text.partition(".")
        return int(seconds) * 10**9 + int((fraction or "0").ljust(9, "0"))
    parts = _DURATION.findall(text)
    if parts and "".join(n + u for n, u in parts) == text:
        return time.time_ns() - sum(int(float(n) * _UNITS[u]) for n, u in parts)
    try:
        return to_ns(text)
    except ValueError:
        raise InvalidParameter(f'invalid value for "{what}": failed to parse value as time or duration: "{text}"') from None


def human_duration(seconds: float) -> str:
    """How long, in docker's words (``units.HumanDuration`` of docker/go-units 0.4).

    >>> human_duration(0.4), human_duration(61), human_duration(14 * 24 * 3600)
    ('Less than a second', 'About a minute', '2 weeks')
    """
    whole = int(seconds)
    minutes, hours = whole // 60, round(seconds / 3600)
    steps = (
        (whole < 1, "Less than a second"),
        (whole == 1, "1 second"),
        (whole < 60, f"{whole} seconds"),
        (minutes == 1, "About a minute"),
        (minutes < 60, f"{minutes} minutes"),
        (hours == 1, "About an hour"),
        (hours < 48, f"{hours} hours"),
        (hours < 24 * 7 * 2, f"{hours // 24} days"),
        (hours < 24 * 30 * 2, f"{hours // 24 // 7} weeks"),
        (hours < 24 * 365 * 2, f"{hours // 24 // 30} months"),
    )
    return next((text for true, text in steps if true), f"{hours // 24 // 365} years")

"""Points in time, for ``--since`` and ``--until``. Source: moby api/types/time/timestamp.go; Go's time.ParseDuration."""

from __future__ import annotations

import re
import time
from datetime import datetime

from minidock.cli.grammar.quote import quote
from minidock.cli.opts import OptionError

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
_EPOCH = re.compile(r"-?\d+(\.\d+)?")


def point(flag: str, text: str) -> float | None:
    """Seconds since 1970 for ``42m`` (that long ago), ``1700000000.5``, or an RFC 3339 time or date (local without a zone).

    None for "". Raises OptionError for anything else.
    """
    if not text:
        return None
    if _EPOCH.fullmatch(text):
        return float(text)
    ago = duration(text)
    if ago is not None:
        return time.time() - ago
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        raise OptionError(f'invalid value for "{flag}": failed to parse value as time or duration: {quote(text)}') from None


def duration(text: str) -> float | None:
    """Go's durations, ``1h30m`` or ``-1.5s``, in seconds; None if `text` is none."""
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = list(_PART.finditer(body))
    if not parts or "".join(p.group() for p in parts) != body:
        return None
    return sign * sum(float(p.group(1)) * _SECONDS[p.group(2)] for p in parts)

"""The value types of Go's pflag: what text a flag accepts, and the words when it does not.

Each function takes the text and returns the value, or raises `BadValue` with the part of the message that comes after
``invalid argument "x" for "--flag" flag:``. Sources: Go's strconv (atob.go, atoi.go), docker/cli opts.
"""

from __future__ import annotations

from minidock.cli.grammar.quote import quote

INT64 = (-(1 << 63), (1 << 63) - 1)
_BASES = {"0x": 16, "0b": 2, "0o": 8}


class BadValue(ValueError):
    """A flag's value that cannot be; the text is docker's."""


def string(text: str) -> str:
    """Any text."""
    return text


def boolean(text: str) -> bool:
    """strconv.ParseBool: 1 t T TRUE true True, 0 f F FALSE false False."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise BadValue(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def int64(text: str) -> int:
    """strconv.ParseInt(text, 0, 64): decimal, 0x…, 0o…, 0b…, or octal after a leading zero."""
    return _integer("ParseInt", text, *INT64)


def uint16(text: str) -> int:
    """strconv.ParseUint(text, 0, 16)."""
    if text.startswith(("-", "+")):
        raise BadValue(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    return _integer("ParseUint", text, 0, (1 << 16) - 1)


def decimal64(text: str) -> int:
    """strconv.ParseInt(text, 10, 64)."""
    return _integer("ParseInt", text, *INT64, base=10)


def _integer(function: str, text: str, low: int, high: int, base: int = 0) -> int:
    digits = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    prefix = digits[:2].lower()
    if base == 0 and prefix in _BASES:
        base, digits = _BASES[prefix], digits[2:]
    elif base == 0:
        base = 8 if len(digits) > 1 and digits[0] == "0" else 10
    allowed = "0123456789abcdef"[:base]
    if not digits or any(c not in allowed for c in digits.lower()):
        raise BadValue(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    # int() refuses more than 4300 digits; far fewer are out of range already
    value = int(digits, base) if len(digits.lstrip("0")) <= 64 else high + 1
    value = -value if text.startswith("-") else value
    if not low <= value <= high:
        raise BadValue(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return value

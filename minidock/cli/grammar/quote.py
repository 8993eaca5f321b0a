"""Go's ``strconv.Quote`` (the ``%q`` of docker's messages and of the COMMAND column)."""

from __future__ import annotations

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}


def quote(text: str) -> str:
    """`text` as a Go string literal: ``a"b`` → ``"a\\"b"``. Bytes that are no UTF-8 (surrogates here) become ``\\xNN``."""
    return '"' + "".join(_quote_rune(c) for c in text) + '"'


def _quote_rune(rune: str) -> str:
    if rune in _ESCAPES:
        return _ESCAPES[rune]
    code = ord(rune)
    if rune.isprintable():
        return rune
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

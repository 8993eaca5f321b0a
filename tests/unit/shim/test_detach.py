"""Detach keys: docker's syntax, and the scanner at every place where a read can end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock import errors
from minidock.shim.detach import Scanner, parse


@pytest.mark.parametrize(
    ("keys", "codes"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("a,b,Z", b"abZ"),
        ("ctrl-@", b"\0"),
        ("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x1b\x1c\x1d\x1e\x1f"),
        ("ctrl-a,ctrl-z,DEL", b"\x01\x1a\x7f"),
    ],
)
def test_parse(keys: str, codes: bytes) -> None:
    """Detach keys as docker spells them."""
    assert parse(keys) == codes


@pytest.mark.parametrize("keys", ["ctrl-", "ctrl-P", "ctrl-1", "ab", "a,,b", "a,", "é", "del"])
def test_parse_refuses_in_dockers_words(keys: str) -> None:
    with pytest.raises(errors.InvalidParameter) as raised:
        parse(keys)
    assert raised.value.explanation == f"Invalid detach keys ({keys}) provided"


@given(st.text("pqx", min_size=1, max_size=4), st.text("pqx", max_size=30), st.data())
def test_scanner_finds_what_find_finds(keys: str, text: str, data: st.DataObject) -> None:
    scanner, passed, rest = Scanner(keys.encode()), b"", text.encode()
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        out, found = scanner.feed(rest[:size])
        passed, rest = passed + out, rest[size:]
        if found:
            assert passed == text.encode()[: text.find(keys)]
            return
    assert keys not in text
    assert passed + scanner.flush() == text.encode()


def test_without_keys_everything_passes() -> None:
    assert Scanner(b"").feed(b"\x10\x11") == (b"\x10\x11", False)

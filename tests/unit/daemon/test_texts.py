"""Texts that no system call could take are found first."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.daemon.request import texts
from minidock.errors import InvalidParameter


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"User": "a\0"}, "invalid User: a NUL byte cannot be in it"),
        ({"Env": ["A=\0"]}, "invalid Env: a NUL byte cannot be in it"),
        ({"Tmpfs": {"/a\0": ""}}, "invalid Tmpfs: a NUL byte cannot be in it"),
        ({"Mounts": [{"Source": "/\0"}]}, "invalid Mounts: a NUL byte cannot be in it"),
        ({"Cmd": ["\ud800"]}, r"invalid Cmd: '\ud800' is no text that can be encoded"),
    ],
)
def test_what_cannot_be(value: Any, words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        texts.check("Config", value)
    assert caught.value.explanation == words


def test_what_can() -> None:
    """Bytes that are no UTF-8 come as lone low surrogates and go out as the same bytes; labels may be anything."""
    texts.check("Config", {"Cmd": ["\udcff", "ö"], "Labels": {"a": "\0"}, "Tty": True, "Memory": 5, "User": None})


@pytest.mark.parametrize(
    ("command", "environment"),
    [(["x" * (128 << 10)], []), (["true"], ["A=" + "ö" * (64 << 10)]), (["x" * 100_000] * 70, []), (["\1" * 100_000] * 12, [])],
)
def test_too_long(command: list[str], environment: list[str]) -> None:
    """What execve(2) would refuse is refused before a container is made."""
    with pytest.raises(InvalidParameter, match="argument list too long"):
        texts.fits(command, environment)


def test_long() -> None:
    """What the kernel takes, we take."""
    command, environment = ["/bin/true", "x" * ((128 << 10) - 1)], dict.fromkeys("ABC", "ö" * 60000)
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    texts.fits(command, [f"{name}={value}" for name, value in environment.items()])
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run([*command, command[1] + "x"], check=False)


@given(st.recursive(st.text() | st.none() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_nothing_but_an_invalid_parameter(value: Any) -> None:
    try:
        texts.check("Config", value)
    except InvalidParameter:
        return

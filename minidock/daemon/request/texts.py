"""Texts that no system call could take: with a NUL byte, of characters that no bytes stand for, or too long for execve(2).

Found before anything is made; later each would be a failure deep inside, with half a container to take back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from minidock.errors import InvalidParameter

MAX_STRING = 128 << 10  # bytes of one argument or variable, its NUL included: MAX_ARG_STRLEN of execve(2)
MAX_TOTAL = 6 << 20  # bytes of all together: three quarters of _STK_LIM, whatever the stack's limit is
MAX_PATH = 4096  # bytes: PATH_MAX
_FREE = frozenset(("Labels",))  # only ever written down, and JSON has a form for everything


def check(where: str, value: object) -> None:
    """Look at every string in `value`, keys too; `where` is what holds it ("Config").

    Raises InvalidParameter naming the field.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidParameter(f"invalid {where}: a NUL byte cannot be in it")
        if not value.isascii():
            _encodable(where, value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _FREE:
                check(where, key)
                check(key if where in ("Config", "HostConfig") else where, item)
    elif isinstance(value, list | tuple):
        for item in value:
            check(where, item)


def _encodable(where: str, value: str) -> None:
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        raise InvalidParameter(f"invalid {where}: {value!a} is no text that can be encoded") from None


def fits(command: Iterable[str], environment: Iterable[str]) -> None:
    """Whether execve(2) could take both, the `command` and its `environment`. Raises InvalidParameter."""
    words, variables = [*command], [*environment]
    if any(len(os.fsencode(text)) >= MAX_STRING for text in (*words, *variables) if len(text) >= MAX_STRING // 4):
        raise InvalidParameter(f"argument list too long: one argument or variable has more than {MAX_STRING - 1} bytes")
    # It also travels to the shim as JSON, where a control character takes six bytes.
    if sum(map(len, words)) + sum(map(len, variables)) > MAX_TOTAL // 6 and len(json.dumps([words, variables])) > MAX_TOTAL:
        raise InvalidParameter(f"argument list too long: command and environment have more than {MAX_TOTAL} bytes")


def short(where: str, value: str) -> None:
    """A path, or a name to be looked up: whether `value` is no longer than a path can be.

    Raises InvalidParameter naming the field, `where`.
    """
    if len(os.fsencode(value)) >= MAX_PATH:
        raise InvalidParameter(f"invalid {where}: longer than {MAX_PATH - 1} bytes")

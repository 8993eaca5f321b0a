"""Environment variables and labels, on the command line and in files. Source: docker/cli opts/env.go, pkg/kvfile."""

from __future__ import annotations

import os
from collections.abc import Iterable

from minidock.cli.opts import BadValue, OptionError

_BLANKS = " \t\v\f\x85\xa0"


def environment(text: str) -> str:
    """``-e NAME=value``; ``-e NAME`` takes the value from our own environment (and stays as it is when there is none)."""
    name, equals, _ = text.partition("=")
    if not name:
        raise BadValue(f"invalid environment variable: {text}")
    if not equals and name in os.environ:
        return f"{name}={os.environ[name]}"
    return text


def label(text: str) -> str:
    """``-l name=value`` or ``-l name``."""
    name = text.partition("=")[0]
    if not name.strip():
        raise BadValue(f"invalid label '{text}': empty name")
    if any(blank in name for blank in _BLANKS):
        raise BadValue(f"label '{name}' contains whitespaces")
    return text


def read_environment(files: Iterable[str], given: Iterable[str]) -> list[str]:
    """The variables of --env-file, then those of -e: the later one holds. A file's bare names come from our own environment."""
    lines = [line for path in files for line in read_file(path)]
    own = [f"{line}={os.environ[line]}" if "=" not in line and line in os.environ else line for line in lines]
    return [line for line in own if "=" in line] + list(given)


def read_labels(files: Iterable[str], given: Iterable[str]) -> dict[str, str]:
    """The labels of --label-file, then those of -l. A name alone is a label with an empty value."""
    lines = [line for path in files for line in read_file(path)] + list(given)
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def read_file(path: str) -> list[str]:
    """The ``name=value`` and ``name`` lines of a file. Comments (#) and empty lines are left out; values are taken as they are.

    Raises OptionError for a file that cannot be read, bytes that are no UTF-8, or a line without a usable name.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise OptionError(f"open {path}: {(error.strerror or str(error)).lower()}") from None
    lines = []
    for number, raw in enumerate(content.split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            shown = " ".join(str(byte) for byte in raw)
            raise OptionError(f"invalid env file ({path}): invalid utf8 bytes at line {number}: [{shown}]") from None
        line = (line.removeprefix("\ufeff") if number == 1 else line).lstrip()
        if line and not line.startswith("#"):
            lines.append(_checked(path, line))
    return lines


def _checked(path: str, line: str) -> str:
    name = line.partition("=")[0]
    if not name:
        raise OptionError(f"invalid env file ({path}): no variable name on line '{line}'")
    if any(blank in name for blank in _BLANKS):
        raise OptionError(f"invalid env file ({path}): variable '{name}' contains whitespaces")
    return line

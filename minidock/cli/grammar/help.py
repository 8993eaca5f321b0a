"""Help texts, laid out as docker's: cobra's template and pflag's wrapped flag table."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from minidock.cli.grammar.flags import Flag

SLOP = 5
NARROWEST = 24


def width() -> int:
    """The columns to wrap at: one less than the terminal's, or than 80."""
    try:
        return (os.get_terminal_size(sys.stdout.fileno()).columns or 80) - 1
    except (OSError, ValueError):
        return 79


def flag_table(flags: Sequence[Flag], columns: int) -> str:
    """One line for each flag that is not hidden, sorted by name, the texts wrapped at `columns`."""
    shown = sorted((f for f in flags if not f.hidden), key=lambda f: f.name)
    left = [_left(f) for f in shown]
    indent = max((len(text) for text in left), default=0) + 3
    lines = [text.ljust(indent) + _wrap(indent, columns, _text(f)) for text, f in zip(left, shown, strict=True)]
    return "\n".join(lines)


def name_table(rows: Sequence[tuple[str, str]]) -> str:
    """Names and their one-line texts in two columns: the lists of commands."""
    indent = max(11, *(len(name) for name, _ in rows))
    return "\n".join(f"  {name.ljust(indent)} {text}" for name, text in rows)


def _left(flag: Flag) -> str:
    head = f"  -{flag.short}, --{flag.name}" if flag.short else f"      --{flag.name}"
    return f"{head} {flag.kind}" if flag.kind else head


def _text(flag: Flag) -> str:
    return f"{flag.help} (default {flag.shown_default})" if flag.shown_default else flag.help


def _wrap(indent: int, columns: int, text: str) -> str:
    """pflag's wrap(): break at the last blank that leaves `SLOP` columns free, unless the rest fits into those too."""
    room = columns - indent - SLOP
    if room < NARROWEST - SLOP:
        return text.replace("\n", "\n" + " " * indent)
    lines = []
    while text:
        line, text = _cut(room, text)
        lines.append(line)
    return ("\n" + " " * indent).join("\n".join(lines).split("\n"))


def _cut(room: int, text: str) -> tuple[str, str]:
    if room + SLOP > len(text):
        return text, ""
    blank = max(text.rfind(c, 0, room) for c in " \t\n")
    if blank <= 0:
        return text, ""
    newline = text.rfind("\n", 0, room)
    if 0 < newline < blank:
        blank = newline
    return text[:blank], text[blank + 1 :]

"""Go's text/template, first half: from text to tokens. Source: Go, text/template/parse/lex.go.

Outside ``{{ }}`` everything is text; ``{{-`` and ``-}}`` cut the blanks beside them; ``{{/* */}}`` is a comment. Inside, the
tokens are names, fields (``.Name``), variables (``$x``), strings, numbers and a few signs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

KEYWORDS = frozenset({"if", "else", "end", "range", "with", "nil"})
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
      | (?P<field>\.[A-Za-z_]\w*)
      | (?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.]))
      | (?P<dot>\.)
      | (?P<variable>\$\w*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<raw>`[^`]*`)
      | (?P<char>'(?:[^'\\\n]|\\.)+')
      | (?P<sign>:=|[=|(),])""",
    re.VERBOSE,
)


class TemplateError(Exception):
    """The template cannot be parsed or carried out; the text is Go's, starting with ``template: :1: ``."""


class Token(NamedTuple):
    """A piece of the template: `kind`, its text, and where it starts. `spaced` is true if a blank stands before it."""

    kind: str
    text: str
    at: int
    spaced: bool = False


def parse_error(source: str, at: int, message: str) -> TemplateError:
    """Go's words for a template that cannot be parsed."""
    return TemplateError(f"template: :{source.count(chr(10), 0, at) + 1}: {message}")


def tokens(source: str) -> list[Token]:
    """All tokens of `source`: "text", "open" and "close" for the braces, and the kinds inside. Raises TemplateError."""
    result: list[Token] = []
    at, trim = 0, False
    while at < len(source):
        start = source.find("{{", at)
        text = source[at:] if start < 0 else source[at:start]
        if trim:
            text = text.lstrip(" \t\r\n")
        if start < 0:
            result.append(Token("text", text, at))
            break
        inside = start + 2
        if re.match(r"-[ \t\r\n]", source[inside : inside + 2]):
            text, inside = text.rstrip(" \t\r\n"), inside + 2
        if text:
            result.append(Token("text", text, at))
        at, trim = _action(source, inside, result)
    return result


def _action(source: str, at: int, result: list[Token]) -> tuple[int, bool]:
    """The tokens of one action that starts at `at`. Returns where it ended, and whether ``-}}`` trims what follows."""
    if source.startswith("/*", at):
        end = source.find("*/", at)
        if end < 0:
            raise parse_error(source, at, "unclosed comment")
        close = re.compile(r"([ \t\r\n]-)?\}\}").match(source, end + 2)
        if not close:
            raise parse_error(source, at, "comment ends before closing delimiter")
        return close.end(), bool(close.group(1))
    result.append(Token("open", "{{", at))
    spaced = False
    while True:
        close = re.compile(r"([ \t\r\n]-)?\}\}").match(source, at)
        if close:
            result.append(Token("close", "}}", at))
            return close.end(), bool(close.group(1))
        if at >= len(source):
            raise parse_error(source, at, "unclosed action")
        match = _TOKEN.match(source, at)
        if not match:
            raise parse_error(source, at, _bad(source, at))
        kind = str(match.lastgroup)
        if kind != "space":
            text = match.group()
            result.append(Token("keyword" if text in KEYWORDS else kind, text, at, spaced))
        spaced, at = kind == "space", match.end()


def _bad(source: str, at: int) -> str:
    rest = source[at:]
    if rest.startswith('"'):
        return "unterminated quoted string"
    if rest.startswith("`"):
        return "unterminated raw quoted string"
    if rest.startswith("'"):
        return "unterminated character constant"
    if rest.lstrip("+-")[:1].isdecimal():
        return f'bad number syntax: "{rest.split()[0]}"'
    return f"unrecognized character in action: U+{ord(rest[0]):04X} '{rest[0]}'"

"""Flags as Go's pflag takes them.

::

    --name value   --name=value   --flag   --flag=false        long forms
    -n value  -nvalue  -n=value   -it  -itu root               short forms, bundled; the last one may take a value
    --                                                         ends the options

With ``interspersed=False`` (run, create, exec, top) the first argument ends the options too: what follows the image's name
belongs to the command. Source: github.com/spf13/pflag v1.0, flag.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minidock.cli.grammar import values
from minidock.cli.grammar.quote import quote
from minidock.frozen import Frozen


class FlagError(Exception):
    """The options cannot be parsed. The text is pflag's; the exit code is 125."""


class HelpWanted(Exception):
    """``--help`` was given. `note` is a line to say first ("" for none)."""

    def __init__(self, note: str = "") -> None:
        super().__init__(note)
        self.note = note


class Flag(Frozen):
    """One option.

    `name` is the long name, `short` one letter or "". `kind` is the word for its value in the help ("" for a boolean).
    `parse` turns text into the value (raising `values.BadValue`). With `many` the values are collected in a list.
    `default` is the value when the flag is not given. `shown_default` is what the help says in brackets. `aliases` are other
    long names, not shown. `hidden` keeps the flag out of the help.
    """

    name: str
    short: str = ""
    help: str = ""
    kind: str = ""
    parse: Callable[[str], Any] = values.boolean
    default: Any = None
    many: bool = False
    aliases: tuple[str, ...] = ()
    hidden: bool = False
    shown_default: str = ""

    @property
    def is_boolean(self) -> bool:
        """True when the flag alone means true (pflag's NoOptDefVal)."""
        return self.parse is values.boolean

    @property
    def spelling(self) -> str:
        """How messages name it: ``-m, --memory``."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"

    def initial(self) -> Any:
        """The value before anything was parsed."""
        if self.many:
            return []
        return bool(self.default) if self.is_boolean else self.default


def boolean(name: str, short: str = "", help: str = "", *, default: bool = False, hidden: bool = False) -> Flag:
    """A flag that is true when given."""
    return Flag(name, short, help, "", values.boolean, default, hidden=hidden, shown_default="true" if default else "")


def string(
    name: str,
    short: str = "",
    help: str = "",
    *,
    default: str = "",
    parse: Callable[[str], Any] = values.string,
    kind: str = "string",
    aliases: tuple[str, ...] = (),
    hidden: bool = False,
) -> Flag:
    """A flag with one value; the last one given holds."""
    shown = quote(default) if default else ""
    return Flag(name, short, help, kind, parse, default, aliases=aliases, hidden=hidden, shown_default=shown)


def integer(name: str, short: str = "", help: str = "", *, default: int | None = None) -> Flag:
    """A flag with a 64-bit number. The default None tells "not given" from 0."""
    return Flag(name, short, help, "int", values.int64, default, shown_default="" if default is None else str(default))


def many(
    name: str,
    short: str = "",
    help: str = "",
    *,
    parse: Callable[[str], Any] = values.string,
    kind: str = "list",
    hidden: bool = False,
    aliases: tuple[str, ...] = (),
) -> Flag:
    """A flag that may be given several times; the values come as a list."""
    return Flag(name, short, help, kind, parse, many=True, hidden=hidden, aliases=aliases)


HELP = boolean("help", help="Print usage", hidden=True)


class Parsed:
    """What the command line said: ``parsed["name"]`` for each flag, `args` the arguments, `given` the flags that were there."""

    def __init__(self, flags: Sequence[Flag]) -> None:
        self.values: dict[str, Any] = {f.name: f.initial() for f in flags}
        self.given: set[str] = set()
        self.args: list[str] = []

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class _Scanner:
    """Walks over the words once. The words it has not reached are `rest`."""

    def __init__(self, flags: Sequence[Flag], words: Sequence[str]) -> None:
        self.parsed = Parsed((*flags, HELP))
        self.note = ""
        self.long = {name: f for f in (*flags, HELP) for name in (f.name, *f.aliases)}
        self.short = {f.short: f for f in flags if f.short}
        self.rest = list(words)

    def run(self, interspersed: bool) -> Parsed:
        while self.rest:
            word = self.rest.pop(0)
            if word == "--":
                break
            if word.startswith("--"):
                self.long_flag(word)
            elif word.startswith("-") and len(word) > 1:
                self.short_flags(word[1:])
            else:
                self.parsed.args.append(word)
                if not interspersed:
                    break
        self.parsed.args += self.rest
        if self.parsed["help"]:
            raise HelpWanted(self.note)
        return self.parsed

    def long_flag(self, word: str) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name[0] == "-":
            raise FlagError(f"bad flag syntax: {word}")
        flag = self.long.get(name)
        if flag is None:
            raise FlagError(f"unknown flag: --{name}")
        if equals:
            self.set(flag, value)
        elif flag.is_boolean:
            self.set(flag, "true")
        elif self.rest:
            self.set(flag, self.rest.pop(0))
        else:
            raise FlagError(f"flag needs an argument: {word}")

    def short_flags(self, letters: str) -> None:
        """``-itu root``: booleans may stand together; the first that takes a value gets the rest of the word, or the next."""
        word = letters
        while letters:
            letter, tail = letters[0], letters[1:]
            flag = self.short.get(letter)
            if flag is None and letter == "h":
                flag, self.note = HELP, "Flag shorthand -h has been deprecated, use --help"
            if flag is None:
                raise FlagError(f"unknown shorthand flag: {letter!r} in -{letters}")
            if len(tail) > 1 and tail[0] == "=":
                return self.set(flag, tail[1:])
            if flag.is_boolean:
                self.set(flag, "true")
                letters = tail
                continue
            if tail:
                return self.set(flag, tail)
            if not self.rest:
                raise FlagError(f"flag needs an argument: {letter!r} in -{word}")
            return self.set(flag, self.rest.pop(0))

    def set(self, flag: Flag, text: str) -> None:
        try:
            value = flag.parse(text)
        except values.BadValue as error:
            raise FlagError(f"invalid argument {quote(text)} for {quote(flag.spelling)} flag: {error}") from None
        if flag.many:
            self.parsed.values[flag.name].append(value)
        else:
            self.parsed.values[flag.name] = value
        self.parsed.given.add(flag.name)


def parse(flags: Sequence[Flag], words: Sequence[str], interspersed: bool = True) -> Parsed:
    """Parse `words`. Raises FlagError with pflag's words, HelpWanted for ``--help``."""
    return _Scanner(flags, words).run(interspersed)

"""A command: its usage line, its flags, how many arguments it takes, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from minidock.cli.grammar import flags as flagset
from minidock.cli.grammar import help as helptext
from minidock.cli.grammar.flags import Flag, Parsed
from minidock.frozen import Frozen

if TYPE_CHECKING:
    from minidock.cli.context import Context

PROGRAM = "minidock"


class UsageError(Exception):
    """Said on standard error as it is; `code` is the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Command(Frozen):
    """One command.

    `usage` is what follows its name in the usage line, `short` the one-line text, `do` the function: it gets the context and
    the parsed command line, and returns the exit code. `least` and `most` bound the number of arguments (most None: no
    bound). `aliases` are the other ways to call it, as the help lists them.
    """

    usage: str
    short: str
    do: Callable[[Context, Parsed], int]
    flags: tuple[Flag, ...] = ()
    least: int = 0
    most: int | None = None
    interspersed: bool = True
    aliases: tuple[str, ...] = ()

    def parse(self, name: str, words: Sequence[str]) -> Parsed:
        """Parse and count. `name` is how the command was called ("run", "container run").

        Raises UsageError (125 for flags, 1 for the number of arguments, as docker) and HelpWanted.
        """
        path = f"{PROGRAM} {name}"
        try:
            parsed = flagset.parse(self.flags, words, self.interspersed)
        except flagset.FlagError as error:
            raise UsageError(f"{error}\n\n{self.usage_line(name)}\n\n{run_help(path)}", 125) from None
        problem = self._count_problem(len(parsed.args))
        if problem:
            hint = f"See '{path} --help' for more information" if self.most != self.least else run_help(path)
            raise UsageError(f"{PROGRAM}: '{path}' {problem}\n\n{self.usage_line(name)}\n\n{hint}", 1)
        return parsed

    def usage_line(self, name: str) -> str:
        """``Usage:  minidock run [OPTIONS] IMAGE [COMMAND] [ARG...]``"""
        return f"Usage:  {PROGRAM} {name} {self.usage}".rstrip()

    def help(self, name: str) -> str:
        """The whole help text."""
        parts = [self.usage_line(name), self.short]
        if self.aliases:
            parts.append("Aliases:\n  " + ", ".join(f"{PROGRAM} {a}" for a in self.aliases))
        if any(not f.hidden for f in self.flags):
            parts.append("Options:\n" + helptext.flag_table(self.flags, helptext.width()))
        return "\n\n".join(parts)

    def _count_problem(self, count: int) -> str:
        """cobra's words for too few or too many arguments ("" when it is right)."""
        if self.least == self.most == 0:
            return "accepts no arguments" if count else ""
        if self.least == self.most:
            return "" if count == self.least else f"requires {_arguments(self.least)}"
        if count < self.least:
            return f"requires at least {_arguments(self.least)}"
        if self.most is not None and count > self.most:
            return f"requires at most {_arguments(self.most)}"
        return ""


def run_help(path: str) -> str:
    """The line under most complaints."""
    return f"Run '{path} --help' for more information"


def _arguments(count: int) -> str:
    return f"{count} argument{'' if count == 1 else 's'}"

"""Go's text/template, second half: from tokens to a tree. Source: Go, text/template/parse/{parse,node}.go.

::

    action      {{pipeline}}   {{if p}}…{{else if p}}…{{else}}…{{end}}   {{with p}}…{{end}}   {{range [$i, $v :=] p}}…{{end}}
    pipeline    [$x :=] command | command …     the value of one is the last argument of the next
    command     operand operand …
    operand     .Field.Field   $x.Field   function   "text"   1   true   nil   (pipeline).Field
"""

from __future__ import annotations

import ast
from collections.abc import Collection
from typing import Any, NamedTuple

from minidock.cli.format.lexer import TemplateError, Token, parse_error, tokens
from minidock.cli.grammar.quote import quote


class Text(NamedTuple):
    """Text outside the braces."""

    text: str


class Literal(NamedTuple):
    """A string, number, boolean or nil."""

    value: Any


class Field(NamedTuple):
    """A path of names from a start: ``.A.B`` (base None: the dot), ``$x.A`` (base "$x"), ``(p).A`` (base a Pipeline)."""

    base: Any
    names: tuple[str, ...]
    at: int
    source: str


class Function(NamedTuple):
    """The name of a function."""

    name: str
    at: int


class Pipeline(NamedTuple):
    """Commands, each a list of operands, and the variables that get the value (`declares`: ``:=``, else ``=``)."""

    commands: tuple[tuple[Any, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = True


class Block(NamedTuple):
    """if, range or with: `kind`, its pipeline, what it does, and what else."""

    kind: str
    pipeline: Pipeline
    body: tuple[Any, ...]
    otherwise: tuple[Any, ...]


def parse(source: str, functions: Collection[str]) -> tuple[Any, ...]:
    """The nodes of a template. `functions` are the names it may call. Raises TemplateError in Go's words."""
    parser = _Parser(source, functions)
    nodes, ended_by = parser.nodes()
    if ended_by:
        raise parser.error(f"unexpected {{{{{ended_by}}}}}")
    return nodes


class _Parser:
    """Recursive descent over the tokens. The variables that are defined at this point are `variables`."""

    def __init__(self, source: str, functions: Collection[str]) -> None:
        self.source, self.functions = source, functions
        self.tokens, self.position = tokens(source), 0
        self.variables = ["$"]

    def error(self, message: str) -> TemplateError:
        at = self.tokens[min(self.position, len(self.tokens) - 1)].at if self.tokens else 0
        return parse_error(self.source, at, message)

    def peek(self) -> Token | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def next(self) -> Token:
        token = self.peek()
        if token is None:
            raise self.error("unexpected EOF")
        self.position += 1
        return token

    def take(self, kind: str, text: str | None = None) -> Token | None:
        token = self.peek()
        if token and token.kind == kind and text in (None, token.text):
            self.position += 1
            return token
        return None

    def nodes(self) -> tuple[tuple[Any, ...], str]:
        """Nodes up to an ``end`` or ``else`` (which is told, its keyword consumed), or to the end of the source ("")."""
        found: list[Any] = []
        while token := self.peek():
            self.position += 1
            if token.kind == "text":
                found.append(Text(token.text))
            elif self.take("keyword", "end"):
                self.expect_close("end")
                return tuple(found), "end"
            elif self.take("keyword", "else"):
                return tuple(found), "else"
            elif keyword := next((k for k in ("if", "range", "with") if self.take("keyword", k)), ""):
                found.append(self.block(keyword))
            else:
                found.append(self.pipeline("command"))
        return tuple(found), ""

    def block(self, kind: str) -> Block:
        depth = len(self.variables)
        pipeline = self.pipeline(kind)
        body, ended_by = self.nodes()
        otherwise: tuple[Any, ...] = ()
        if ended_by == "else" and kind != "range" and (chained := self.take("keyword", kind)):
            otherwise, ended_by = (self.block(chained.text),), "end"
        elif ended_by == "else":
            self.expect_close("else")
            otherwise, ended_by = self.nodes()
        if ended_by != "end":
            raise self.error("unexpected EOF" if not ended_by else f"expected end; found {{{{{ended_by}}}}}")
        del self.variables[depth:]
        return Block(kind, pipeline, body, otherwise)

    def expect_close(self, context: str) -> None:
        if not self.take("close"):
            raise self.error(f"unexpected {_shown(self.next())} in {context}")

    def pipeline(self, context: str, closing: str = "close") -> Pipeline:
        variables, declares = self.assignment(context)
        commands: list[tuple[Any, ...]] = []
        while True:
            command = self.command(context, closing)
            if not command:
                raise self.error(f"missing value for {context}")
            if commands and not isinstance(command[0], Function | Field):
                raise self.error(f"non executable command in pipeline stage {len(commands) + 1}")
            commands.append(command)
            token = self.next()
            if token.kind == closing or token.text == closing:
                break
        if declares:
            self.variables += variables
        return Pipeline(tuple(commands), tuple(variables), declares)

    def assignment(self, context: str) -> tuple[list[str], bool]:
        """``$x :=``, ``$x =``, and for range ``$i, $x :=``. The names, and whether they are new."""
        start, names = self.position, []
        while token := self.take("variable"):
            names.append(token.text)
            if not (context == "range" and self.take("sign", ",")):
                break
        sign = self.take("sign", ":=") or self.take("sign", "=")
        if names and sign:
            return names, sign.text == ":="
        self.position = start
        return [], False

    def command(self, context: str, closing: str) -> tuple[Any, ...]:
        operands: list[Any] = []
        while token := self.peek():
            if token.kind == closing or token.text in ("|", closing):
                return tuple(operands)
            if operands and not token.spaced:
                raise self.error(f"unexpected {_shown(token)} in operand")
            operands.append(self.operand(context))
        raise self.error("unclosed action")

    def operand(self, context: str) -> Any:
        token = self.next()
        if token.kind == "field":
            return self.chain(None, (token.text[1:],), token.at)
        if token.kind == "dot":
            return Field(None, (), token.at, ".")
        if token.kind == "variable":
            if token.text not in self.variables:
                raise self.error(f"undefined variable {quote(token.text)}")
            return self.chain(token.text, (), token.at)
        if token.text == "(" and token.kind == "sign":
            return self.chain(self.pipeline("parenthesized pipeline", ")"), (), token.at)
        if token.kind == "name" and token.text not in ("true", "false"):
            if token.text not in self.functions:
                raise self.error(f"function {quote(token.text)} not defined")
            return Function(token.text, token.at)
        if token.kind in ("name", "string", "raw", "char", "number", "keyword"):
            return self.literal(token, context)
        raise self.error(f"unexpected {_shown(token)} in {context}")

    def chain(self, base: Any, names: tuple[str, ...], at: int) -> Field:
        """The fields that follow without a blank: ``.A.B``. An error in them is told at the last but first, as Go does."""
        while (token := self.peek()) and token.kind == "field" and not token.spaced:
            if len(names) == 1 and base is None:
                at = token.at
            names, self.position = (*names, token.text[1:]), self.position + 1
        head = base if isinstance(base, str) else ""
        return Field(base, names, at, head + "".join(f".{n}" for n in names))

    def literal(self, token: Token, context: str) -> Literal:
        if token.kind == "raw":
            return Literal(token.text[1:-1])
        if token.kind == "name":
            return Literal(token.text == "true")
        if token.kind == "keyword":
            if token.text != "nil":
                raise self.error(f"unexpected <{token.text}> in {context}")
            return Literal(None)
        try:
            value = ast.literal_eval(token.text.lstrip("+"))
        except (ValueError, SyntaxError):
            raise self.error(f"malformed constant: {token.text}") from None
        return Literal(ord(value) if token.kind == "char" and len(value) == 1 else value)


def _shown(token: Token) -> str:
    return f"<{token.text}>" if token.kind == "keyword" else quote(token.text)

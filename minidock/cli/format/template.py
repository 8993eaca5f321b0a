"""``--format``: the part of Go's text/template that docker's users write, over plain JSON values.

`Template` parses once and is carried out for each object::

    Template('{{.Name}} {{range .Mounts}}{{.Source}} {{end}}{{index .Config.Labels "x"}}').render(container)

Fields are keys of mappings; a field whose value is callable is called with the arguments that follow (``.Label "x"``). Maps are
walked in the order of their keys. What is not there prints ``<no value>``; with ``strict`` it is an error in Go's words,
except inside maps whose keys are the user's own (labels, options). Source: Go, text/template/exec.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minidock.cli.format import nodes
from minidock.cli.format.functions import FUNCTIONS, LAZY, MISSING, CallError, show, truth
from minidock.cli.format.lexer import TemplateError

__all__ = ["Template", "TemplateError"]

# In Go these are maps, all others structs with known fields.
USER_MAPS = frozenset(
    {"Labels", "Annotations", "Options", "Config", "DriverOpts", "Sysctls", "Networks", "Ports", "Volumes", "Tmpfs", "Data"}
)


class Template:
    """A parsed template. Raises TemplateError (``template: :1: …``) if it cannot be parsed."""

    def __init__(self, source: str, functions: Mapping[str, Callable[..., Any]] | None = None, strict: bool = False) -> None:
        self.source, self.strict = source, strict
        self.functions = {**FUNCTIONS, **(functions or {})}
        self.nodes = nodes.parse(source, {*self.functions, *LAZY})

    def render(self, data: Any) -> str:
        """Carry it out with `data` as the dot. Raises TemplateError."""
        run = _Run(self, data)
        run.walk(self.nodes, data)
        return "".join(run.out)


class _Run:
    """One rendering: the output so far, and the variables that are in sight (a stack, innermost last)."""

    def __init__(self, template: Template, data: Any) -> None:
        self.template = template
        self.out: list[str] = []
        self.variables: list[tuple[str, Any]] = [("$", data)]

    def error(self, at: int, what: str, message: str) -> TemplateError:
        source = self.template.source
        line, column = source.count("\n", 0, at) + 1, at - (source.rfind("\n", 0, at) + 1)
        return TemplateError(f'template: :{line}:{column}: executing "" at <{what}>: {message}')

    def walk(self, found: Sequence[Any], dot: Any) -> None:
        for node in found:
            if isinstance(node, nodes.Text):
                self.out.append(node.text)
            elif isinstance(node, nodes.Block):
                depth = len(self.variables)
                self.block(node, dot)
                del self.variables[depth:]
            else:
                value = self.pipeline(node, dot)
                if not node.variables:
                    self.out.append(show(value))

    def block(self, node: nodes.Block, dot: Any) -> None:
        if node.kind == "range":
            return self.range(node, dot)
        value = self.pipeline(node.pipeline, dot)
        if truth(value):
            self.walk(node.body, value if node.kind == "with" else dot)
        else:
            self.walk(node.otherwise, dot)

    def range(self, node: nodes.Block, dot: Any) -> None:
        value = self.pipeline(node.pipeline._replace(variables=()), dot)
        if isinstance(value, Mapping):
            pairs: list[tuple[Any, Any]] = sorted(value.items())
        elif isinstance(value, Sequence) and not isinstance(value, str):
            pairs = list(enumerate(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            pairs = [(i, i) for i in range(value)]
        elif value is None or value is MISSING:
            pairs = []
        else:
            raise self.error(0, "range", f"range can't iterate over {show(value)}")
        names = node.pipeline.variables
        depth = len(self.variables)
        for key, item in pairs:
            values = (item,) if len(names) == 1 else (key, item)
            self.variables += zip(names, values, strict=False)
            self.walk(node.body, item)
            del self.variables[depth:]
        if not pairs:
            self.walk(node.otherwise, dot)

    def pipeline(self, node: nodes.Pipeline, dot: Any) -> Any:
        value: tuple[Any, ...] = ()
        for command in node.commands:
            value = (self.command(command, dot, value),)
        for name in node.variables:
            self.assign(name, value[0], node.declares)
        return value[0]

    def assign(self, name: str, value: Any, declares: bool) -> None:
        if declares:
            self.variables.append((name, value))
            return
        at = max(i for i, (known, _) in enumerate(self.variables) if known == name)
        self.variables[at] = (name, value)

    def command(self, operands: tuple[Any, ...], dot: Any, piped: tuple[Any, ...]) -> Any:
        first, rest = operands[0], operands[1:]
        if isinstance(first, nodes.Function):
            if first.name in LAZY:
                return self.lazy(first.name, rest, dot, piped)
            args = [self.operand(o, dot) for o in rest]
            return self.call(first, self.template.functions[first.name], [*args, *piped])
        if isinstance(first, nodes.Field):
            args = [self.operand(o, dot) for o in rest]
            return self.field(first, dot, [*args, *piped])
        if rest or piped:
            raise self.error(0, show(self.operand(first, dot)), "can't give argument to non-function")
        return self.operand(first, dot)

    def lazy(self, name: str, operands: tuple[Any, ...], dot: Any, piped: tuple[Any, ...]) -> Any:
        """and, or: the first argument that decides, or the last."""
        value: Any = None
        for operand in (*operands, *(nodes.Literal(p) for p in piped)):
            value = self.operand(operand, dot)
            if truth(value) == (name == "or"):
                break
        return value

    def call(self, node: nodes.Function, function: Callable[..., Any], args: list[Any]) -> Any:
        try:
            return function(*args)
        except CallError as error:
            raise self.error(node.at, node.name, str(error)) from None
        except (TypeError, AttributeError, ValueError):
            raise self.error(node.at, node.name, f"wrong number or type of args for {node.name}: {len(args)} given") from None

    def operand(self, node: Any, dot: Any) -> Any:
        if isinstance(node, nodes.Field):
            return self.field(node, dot, [])
        if isinstance(node, nodes.Function):
            return self.command((node,), dot, ())
        return node.value

    def field(self, node: nodes.Field, dot: Any, args: list[Any]) -> Any:
        value, inside = dot, ""
        if isinstance(node.base, nodes.Pipeline):
            value = self.pipeline(node.base, dot)
        elif node.base is not None:
            value = next(v for name, v in reversed(self.variables) if name == node.base)
        for position, name in enumerate(node.names):
            value = self.member(node, value, name, inside)
            if callable(value):
                value = value(*(args if position == len(node.names) - 1 else ()))
            inside = name
        return value

    def member(self, node: nodes.Field, value: Any, name: str, inside: str) -> Any:
        if isinstance(value, Mapping):
            if name in value:
                return value[name]
            if self.template.strict and inside not in USER_MAPS:
                raise self.error(node.at, node.source, f'map has no entry for key "{name}"')
            return MISSING
        if value is None or value is MISSING:
            if self.template.strict:
                raise self.error(node.at, node.source, f"nil pointer evaluating interface {{}}.{name}")
            return MISSING
        kind = {bool: "bool", str: "string", int: "int", float: "float64"}.get(type(value), "[]interface {}")
        raise self.error(node.at, node.source, f"can't evaluate field {name} in type {kind}")

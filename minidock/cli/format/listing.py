"""Lists of objects: ``--format``'s three shapes (table, template, json) over rows of named texts.

A row is a mapping of field name to text, plus callables such as Label for ``.Label "x"``. `HEADERS` of a command names the
columns; the same template is carried out once over the headers, and once for each row, as docker's formatter does.
Source: docker/cli ``cli/command/formatter/formatter.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minidock.cli.format.table import columns
from minidock.cli.format.template import Template, TemplateError
from minidock.cli.grammar.command import UsageError
from minidock.cli.streams import write


class Listing:
    """A list in the shape that --format asks for (`form`; "" and "table": the template `default` as a table).

    Made before the engine is asked, so that a template that cannot be parsed costs nothing: UsageError.
    """

    def __init__(self, form: str, default: str, headers: Mapping[str, Any]) -> None:
        self._source, self._is_table = split(form, default)
        self._headers = headers
        try:
            self._template = Template(self._source, strict=True)
        except TemplateError as error:
            raise UsageError(f"failed to parse template: {error}", 1) from None

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Print `rows`. Raises UsageError if the template asks for what a row has not."""
        write(self.text(rows))

    def text(self, rows: Iterable[Mapping[str, Any]]) -> str:
        """What `write` prints."""
        try:
            lines = [self._template.render(row) for row in rows]
            head = Template(self._source, HEADER_FUNCTIONS).render(self._headers) if self._is_table else ""
        except TemplateError as error:
            raise UsageError(f"failed to execute template: {error}", 1) from None
        return columns([head, *lines]) if self._is_table else "".join(line + "\n" for line in lines)


def split(form: str, default: str) -> tuple[str, bool]:
    """The template in `form`, and whether it is a table. ``\\t`` and ``\\n`` may be typed as such."""
    if form == "json":
        return "{{json .}}", False
    if form in ("", "table"):
        return default, True
    is_table = form.startswith("table ")
    text = form.removeprefix("table ").strip() if is_table else form
    return text.replace("\\t", "\t").replace("\\n", "\n"), is_table


def label_header(name: str) -> str:
    """The column head of ``.Label "com.example.my-key"``: ``MY KEY``."""
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ").upper()


# In the header line functions that change a value leave it alone.
HEADER_FUNCTIONS: dict[str, Any] = {
    "json": lambda value: value,
    "title": lambda value: value,
    "lower": lambda value: value,
    "upper": lambda value: value,
    "truncate": lambda value, _size: value,
    "split": lambda value, _separator: value,
    "join": lambda value, _separator: value,
}


def ellipsis(text: str, width: int) -> str:
    """At most `width` characters, the last one ``…`` if something was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"

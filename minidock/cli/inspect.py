"""``minidock inspect``, ``container inspect`` and ``image inspect``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.format import INSPECT_FORMAT_HELP
from minidock.cli.format.template import Template, TemplateError
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, boolean, string
from minidock.cli.streams import complain, say

if TYPE_CHECKING:
    from minidock.client.api import APIClient

TYPES = ("container", "image")
TEMPLATE_STATUS = 64


def do(context: Context, parsed: Parsed) -> int:
    """Print what is known of each object: a JSON array, or the template carried out for each."""
    kinds = TYPES if not parsed["type"] else (parsed["type"],)
    if kinds[0] not in TYPES:
        known = ", ".join(f'"{kind}"' for kind in TYPES)
        raise UsageError(f'unknown type: "{kinds[0]}": must be one of {known}', 1)
    return _inspect(context, parsed, kinds, parsed["size"])


def do_container(context: Context, parsed: Parsed) -> int:
    """``container inspect``."""
    return _inspect(context, parsed, ("container",), parsed["size"])


def do_image(context: Context, parsed: Parsed) -> int:
    """``image inspect``."""
    return _inspect(context, parsed, ("image",), False)


def _inspect(context: Context, parsed: Parsed, kinds: tuple[str, ...], size: bool) -> int:
    show = _printer(parsed["format"])
    found, problems = [], []
    for ref in parsed.args:
        try:
            found.append(show(_get(context.api, ref, kinds, size)))
        except TemplateError as error:
            problems.append(f"template parsing error: {error}")
        except LookupError as error:
            problems.append(str(error.args[0]))
        except failures.caught() as error:
            problems.append(failures.words(error))
    if parsed["format"]:
        for text in found or [""]:
            say(text)
    else:
        say("[\n" + ",\n".join(found) + "\n]" if found else "[]")
    if problems:
        complain("\n".join(problems))
    return 1 if problems else 0


def _printer(form: str) -> Callable[[dict[str, Any]], str]:
    """How one object is printed. Raises UsageError (64, as docker) for a template that cannot be parsed."""
    if not form:
        import json
        import textwrap

        return lambda data: textwrap.indent(json.dumps(data, indent=4, ensure_ascii=False), "    ")
    try:
        template = Template("{{json .}}" if form == "json" else form, strict=True)
    except TemplateError as error:
        raise UsageError(f"template parsing error: {error}", TEMPLATE_STATUS) from None
    return template.render


def _get(api: APIClient, ref: str, kinds: tuple[str, ...], size: bool) -> dict[str, Any]:
    """The first object of that name. Raises LookupError in docker's words when any kind would have done."""
    for kind in kinds:
        try:
            found: dict[str, Any] = api.inspect_container(ref) if kind == "container" else api.inspect_image(ref)
        except failures.caught() as error:
            if len(kinds) == 1 or not failures.is_missing(error):
                raise
            continue
        if size and kind == "container":
            found |= _sizes(api, found["Id"])
        return found
    raise LookupError(f"Error: No such object: {ref}")


def _sizes(api: APIClient, id: str) -> dict[str, int]:
    listed = api.containers(all=True, size=True, filters={"id": id})[0]
    return {key: listed.get(key) or 0 for key in ("SizeRw", "SizeRootFs")}


_FORMAT = string("format", "f", INSPECT_FORMAT_HELP)
_SIZE = boolean("size", "s", "Display total file sizes")
COMMAND = Command(
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on minidock objects",
    do,
    (
        _FORMAT,
        boolean("size", "s", "Display total file sizes if the type is container"),
        string("type", help="Only inspect objects of the given type"),
    ),
    least=1,
)
CONTAINER = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    do_container,
    (_FORMAT, _SIZE),
    least=1,
)
IMAGE = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    do_image,
    (_FORMAT,),
    least=1,
)

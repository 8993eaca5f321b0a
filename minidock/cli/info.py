"""``minidock info``: what the engine has and can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidock.cli.context import Context
from minidock.cli.format import INSPECT_FORMAT_HELP, units
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, string
from minidock.cli.streams import complain, write

# docker's order; a row is left out when the engine does not tell it
ROWS = (
    ("Execution Driver", "ExecutionDriver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Default Runtime", "DefaultRuntime"),
    ("Init Binary", "InitBinary"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("ID", "ID"),
    ("Docker Root Dir", "DockerRootDir"),
    ("Debug Mode", "Debug"),
)


def do(context: Context, parsed: Parsed) -> int:
    """Print it, or the template carried out over it; warnings go to standard error."""
    found = context.api.info()
    if parsed["format"]:
        return _formatted(found, parsed["format"])
    from minidock.cli.version import client_version

    write(f"Client:\n Version:    {client_version()['Version']}\n Debug Mode: {_bool(context.options.debug)}\n\n")
    write("Server:\n" + "".join(f" {line}\n" for line in lines(found)))
    for warning in found.get("Warnings") or ():
        complain(warning)
    return 0


def lines(found: dict[str, Any]) -> Iterator[str]:
    """docker's rows for an engine's info."""
    yield f"Containers: {found.get('Containers', 0)}"
    for state in ("Running", "Paused", "Stopped"):
        yield f" {state}: {found.get(f'Containers{state}', 0)}"
    yield f"Images: {found.get('Images', 0)}"
    yield f"Server Version: {found.get('ServerVersion', '')}"
    yield f"Storage Driver: {found.get('Driver', '')}"
    for name, value in found.get("DriverStatus") or ():
        yield f" {name}: {value}"
    plugins = found.get("Plugins") or {}
    if plugins:
        yield "Plugins:"
        for kind in ("Volume", "Network", "Log"):
            if plugins.get(kind):
                yield f" {kind}: {' '.join(plugins[kind])}"
    if found.get("SecurityOptions"):
        yield "Security Options:"
        yield from _security(found["SecurityOptions"])
    for title, key in ROWS:
        if key in found and found[key] != "":
            value = found[key]
            if key == "MemTotal":
                value = units.bytes_size(value)
            yield f"{title}: {_bool(value) if isinstance(value, bool) else value}"


def _security(options: list[str]) -> Iterator[str]:
    for option in options:
        name, *rest = option.split(",")
        yield f" {name.removeprefix('name=')}"
        for pair in rest:
            key, _, value = pair.partition("=")
            yield f"  {key.title()}: {value}"


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _formatted(found: dict[str, Any], form: str) -> int:
    from minidock.cli.format.template import Template, TemplateError

    try:
        write(Template("{{json .}}" if form == "json" else form, strict=True).render(found) + "\n")
    except TemplateError as error:
        raise UsageError(f"template parsing error: {error}", 64) from None
    return 0


COMMAND = Command(
    "[OPTIONS]",
    "Display system-wide information",
    do,
    (string("format", "f", INSPECT_FORMAT_HELP),),
    most=0,
    aliases=("system info", "info"),
)

"""``minidock version``: the client, and the engine it talks to."""

from __future__ import annotations

import platform
import sys
from typing import Any

from minidock import __version__
from minidock.cli.context import Context
from minidock.cli.format import INSPECT_FORMAT_HELP
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, string
from minidock.cli.streams import write

API_VERSION = "1.41"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def do(context: Context, parsed: Parsed) -> int:
    """Print both; without an engine the client's part, and then what is wrong."""
    client = client_version()
    if parsed["format"]:
        return _formatted(context, client, parsed["format"])
    write(_block("Client:", _rows(client), 19, 1))
    server = context.api.version()
    write("\nServer:\n" + _block(" Engine:", _rows(server), 19, 2))
    for component in server.get("Components") or ():
        if component["Name"] != "Engine":
            write(_block(f" {component['Name']}:", [("Version", component["Version"])], 19, 2))
    return 0


def client_version() -> dict[str, str]:
    """What this command is."""
    machine = platform.machine()
    return {
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "PythonVersion": platform.python_version(),
        "Os": sys.platform,
        "Arch": ARCHITECTURES.get(machine, machine),
    }


def _formatted(context: Context, client: dict[str, str], form: str) -> int:
    from minidock.cli.format.template import Template, TemplateError

    try:
        template = Template("{{json .}}" if form == "json" else form, strict=True)
        write(template.render({"Client": client, "Server": context.api.version()}) + "\n")
    except TemplateError as error:
        raise UsageError(f"template parsing error: {error}", 64) from None
    return 0


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("Version", found.get("Version", "")), ("API version", found.get("ApiVersion", ""))]
    for key, title in (("PythonVersion", "Python version"), ("GoVersion", "Go version"), ("KernelVersion", "Kernel version")):
        if found.get(key):
            rows.append((title, found[key]))
    return [*rows, ("OS/Arch", f"{found.get('Os', '')}/{found.get('Arch', '')}")]


def _block(title: str, rows: list[tuple[str, str]], width: int, indent: int) -> str:
    return f"{title}\n" + "".join(" " * indent + f"{name}:".ljust(width + 1 - indent) + f"{value}\n" for name, value in rows)


COMMAND = Command(
    "[OPTIONS]",
    "Show the minidock version information",
    do,
    (string("format", "f", INSPECT_FORMAT_HELP),),
    most=0,
)

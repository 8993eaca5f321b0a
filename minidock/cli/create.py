"""``minidock create``, and the part of ``run`` that is the same: from the command line to a container that is not started."""

from __future__ import annotations

import os
from typing import Any

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed
from minidock.cli.opts import BadValue, OptionError, run_config
from minidock.cli.opts.run_flags import FLAGS
from minidock.cli.streams import complain, say


def body(context: Context, parsed: Parsed) -> dict[str, Any]:
    """The Engine API's body for the options. Raises UsageError (125) in docker's words."""
    try:
        config = run_config.body(parsed)
    except (OptionError, BadValue) as error:
        raise context.fail(str(error)) from None
    path = parsed["cidfile"]
    if path and os.path.exists(path):
        raise context.fail(f"container ID file found, make sure the other container isn't running or delete {path}")
    return config


def create(context: Context, parsed: Parsed, config: dict[str, Any]) -> str:
    """Make the container and return its id; its warnings are said. Raises the client's errors; UsageError for the cidfile."""
    made = context.api.create_container_from_config(config, parsed["name"] or None, parsed["platform"] or None)
    for warning in made.get("Warnings") or ():
        complain(f"WARNING: {warning}")
    if parsed["cidfile"]:
        _write_id(context, parsed["cidfile"], made["Id"])
    return str(made["Id"])


def _write_id(context: Context, path: str, id: str) -> None:
    try:
        with open(path, "x") as file:
            file.write(id)
    except OSError as error:
        context.api.remove_container(id)
        reason = (error.strerror or str(error)).lower()
        raise context.fail(f"failed to create the container ID file: open {path}: {reason}") from None


def do(context: Context, parsed: Parsed) -> int:
    """Create, and print the id."""
    config = body(context, parsed)
    try:
        say(create(context, parsed, config))
    except failures.caught() as error:
        complain(failures.words(error))
        return 1
    return 0


COMMAND = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    do,
    FLAGS,
    least=1,
    interspersed=False,
    aliases=("container create", "create"),
)

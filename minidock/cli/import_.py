"""``minidock import``."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any, BinaryIO

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, many
from minidock.cli.streams import say, stdin
from minidock.cli.tag import split_reference


def do(context: Context, parsed: Parsed) -> int:
    """Make an image of a tar of a root file system; prints its id."""
    source, *reference = parsed.args
    repository, tag = split_reference(reference[0]) if reference else (None, None)
    with ExitStack() as stack:
        data: Any = source
        if source == "-":
            data = stdin()
        elif "://" not in source:
            data = stack.enter_context(_opened(source))
        answer = context.api.import_image(data, repository=repository, tag=tag, changes=parsed["change"] or None)
    for line in answer.splitlines():
        if line.strip():
            record = json.loads(line)
            if record.get("error"):
                raise UsageError(record["error"], 1)
            say(record.get("status", ""))
    return 0


def _opened(path: str) -> BinaryIO:
    """A file, or what can be read like one: a pipe of the shell's ``<(…)`` too."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise UsageError(f"open {path}: {(error.strerror or str(error)).lower()}", 1) from None


COMMAND = Command(
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    do,
    (many("change", "c", "Apply Dockerfile instruction to the created image"),),
    least=1,
    most=2,
    aliases=("image import", "import"),
)

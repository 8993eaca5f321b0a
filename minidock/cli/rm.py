"""``minidock rm``."""

from __future__ import annotations

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.grammar.command import Command
from minidock.cli.grammar.flags import Parsed, boolean
from minidock.cli.streams import complain, say


def do(context: Context, parsed: Parsed) -> int:
    """Remove each. With --force one that does not exist is said, and is no failure."""
    code = 0
    for ref in parsed.args:
        name = ref.strip("/")
        if not name:
            complain("Container name cannot be empty")
            code = 1
            continue
        try:
            context.api.remove_container(name, v=parsed["volumes"], link=parsed["link"], force=parsed["force"])
        except failures.caught() as error:
            complain(failures.words(error))
            if not (parsed["force"] and failures.is_missing(error)):
                code = 1
        else:
            say(ref)
    return code


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    do,
    (
        boolean("force", "f", "Force the removal of a running container (uses SIGKILL)"),
        boolean("link", "l", "Remove the specified link"),
        boolean("volumes", "v", "Remove anonymous volumes associated with the container"),
    ),
    least=1,
    aliases=("container rm", "container remove", "rm"),
)

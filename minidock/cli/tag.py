"""``minidock tag``."""

from __future__ import annotations

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed


def split_reference(reference: str) -> tuple[str, str | None]:
    """``host:5000/name:tag`` → (``host:5000/name``, ``tag``). A colon before a slash belongs to the host."""
    name, colon, tag = reference.rpartition(":")
    return (name, tag) if colon and "/" not in tag else (reference, None)


def do(context: Context, parsed: Parsed) -> int:
    """Give an image one more name."""
    source, target = parsed.args
    repository, tag = split_reference(target)
    if ":" in repository.rpartition("/")[2]:  # two tags; the API would take the last one
        words = f'Error parsing reference: "{target}" is not a valid repository/tag: invalid reference format'
        raise UsageError(words, 1)
    context.api.tag(source, repository, tag)
    return 0


COMMAND = Command(
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    do,
    least=2,
    most=2,
    aliases=("image tag", "tag"),
)

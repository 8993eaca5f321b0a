"""``minidock update``: other limits for containers that are there already, at once where they run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, string
from minidock.cli.opts import OptionError, container
from minidock.cli.opts.run_config import LISTS, NUMBERS
from minidock.cli.opts.run_flags import RESOURCES
from minidock.cli.streams import complain, say

TEXTS = {"cpuset-cpus": "CpusetCpus", "cpuset-mems": "CpusetMems"}
_RUN = {flag.name: flag for flag in RESOURCES}
if TYPE_CHECKING:
    from minidock.daemon.request.wire import UpdateResponse

FLAGS = (
    _RUN["blkio-weight"].replace(help="Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)"),
    _RUN["cpu-rt-period"].replace(help="Limit the CPU real-time period in microseconds"),
    _RUN["cpu-rt-runtime"].replace(help="Limit the CPU real-time runtime in microseconds"),
    _RUN["kernel-memory"].replace(hidden=True),
    _RUN["memory-swap"].replace(help="Swap limit equal to memory plus swap: -1 to enable unlimited swap"),
    *(_RUN[name] for name in ("cpu-period", "cpu-quota", "cpu-shares", "cpus", "cpuset-cpus", "cpuset-mems")),
    *(_RUN[name] for name in ("memory", "memory-reservation", "pids-limit")),
    # docker has these since version 29
    *(_RUN[name] for name in ("blkio-weight-device", "device-read-bps", "device-read-iops")),
    *(_RUN[name] for name in ("device-write-bps", "device-write-iops")),
    string("restart", help="Restart policy to apply when a container exits"),
)


def do(context: Context, parsed: Parsed) -> int:
    """Update each; prints its name, then the warnings, then what went wrong. What is 0 or empty stays as it is."""
    if not parsed.given:
        raise UsageError("you must provide one or more flags when using this command", 1)
    try:
        wanted = changes(parsed)
    except OptionError as error:
        raise UsageError(str(error), 1) from None
    warnings: list[str] = []
    problems: list[str] = []
    for ref in parsed.args:
        try:
            warnings += _update(context, ref, wanted).get("Warnings") or []
        except failures.caught() as error:
            problems.append(failures.words(error))
        else:
            say(ref)
    for warning in warnings:
        say(warning)
    for problem in problems:
        complain(problem)
    return 1 if problems else 0


def changes(parsed: Parsed) -> dict[str, object]:
    """The flags as the body of ``POST /containers/{id}/update``. Raises OptionError."""
    fields = {"pids-limit": "PidsLimit", **NUMBERS, **LISTS, **TEXTS}
    wanted: dict[str, object] = {field: parsed[name] for name, field in fields.items() if parsed.values.get(name)}
    if parsed["restart"]:
        wanted["RestartPolicy"] = container.restart_policy(parsed["restart"])
    return wanted


def _update(context: Context, ref: str, wanted: Mapping[str, object]) -> UpdateResponse:
    if context.embedded:
        return context.api.update_container_from_config(ref, wanted)
    remote: Any = context.api  # docker-py, whose own method lacks half of the fields
    return cast(
        "UpdateResponse", remote._result(remote._post_json(remote._url("/containers/{0}/update", ref), data=wanted), True)
    )


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    do,
    FLAGS,
    least=1,
    aliases=("container update", "update"),
)

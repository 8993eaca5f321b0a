"""``minidock start``, in the background or (-a, -i) in the foreground."""

from __future__ import annotations

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, boolean, string
from minidock.cli.streams import complain, say
from minidock.cli.terminal import exitcode
from minidock.cli.terminal.session import Session, check_tty


def do(context: Context, parsed: Parsed) -> int:
    """Start each, or attach to the one. Returns 1 if one could not be started, in the foreground the command's exit code."""
    if parsed["attach"] or parsed["interactive"]:
        if len(parsed.args) > 1:
            raise UsageError("you cannot start and attach multiple containers at once", 1)
        return _foreground(context, parsed, parsed.args[0])
    failed = []
    for ref in parsed.args:
        try:
            context.api.start(ref)
        except failures.caught() as error:
            complain(failures.words(error))
            failed.append(ref)
        else:
            say(ref)
    if failed:
        complain(f"failed to start containers: {', '.join(failed)}")
    return 1 if failed else 0


def _foreground(context: Context, parsed: Parsed, ref: str) -> int:
    api = context.api
    found = api.inspect_container(ref)
    id, config = found["Id"], found["Config"]
    stdin = parsed["interactive"] and config["OpenStdin"]
    check_tty(stdin, config["Tty"])
    session = Session.with_container(api, lambda: id, parsed, tty=config["Tty"], stdin=stdin)
    with session.signals() as signals:
        stream = session.attach(api, id)
        exit_code = exitcode.promise(api, id, removed=found["HostConfig"]["AutoRemove"])
        api.start(id)
        session.resize()
        if session.pump(stream, signals):
            return 0
        with signals.armed():
            return exit_code()


COMMAND = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    do,
    (
        boolean("attach", "a", "Attach STDOUT/STDERR and forward signals"),
        string("detach-keys", help="Override the key sequence for detaching a container"),
        boolean("interactive", "i", "Attach container's STDIN"),
        boolean("sig-proxy", help="Proxy received signals to the process", default=True, hidden=True),
    ),
    least=1,
    aliases=("container start", "start"),
)

"""``minidock exec``: one more process in a running container."""

from __future__ import annotations

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, boolean, many, string
from minidock.cli.opts import OptionError, envfile
from minidock.cli.terminal.session import Session, check_tty
from minidock.errors import StartError


def do(context: Context, parsed: Parsed) -> int:
    """Run the command; returns its exit code, 126 or 127 if it could not be executed or found, 1 after the detach keys."""
    try:
        environment = envfile.read_environment(parsed["env-file"], parsed["env"])
    except OptionError as error:
        raise UsageError(str(error), 1) from None
    stdin, tty = parsed["interactive"] and not parsed["detach"], parsed["tty"]
    check_tty(stdin, tty)
    api = context.api
    container, *command = parsed.args
    id = api.exec_create(
        container,
        command,
        stdin=stdin,
        stdout=not parsed["detach"],
        stderr=not parsed["detach"],
        tty=tty,
        privileged=parsed["privileged"],
        user=parsed["user"],
        environment=environment or None,
        workdir=parsed["workdir"] or None,
        detach_keys=parsed["detach-keys"] or None,
    )["Id"]
    try:
        if parsed["detach"]:
            api.exec_start(id, detach=True, tty=tty)
            return 0
        return _foreground(context, id, parsed, stdin)
    except failures.caught() as error:
        raise UsageError(failures.words(error), _exit_code(error)) from None


def _foreground(context: Context, id: str, parsed: Parsed, stdin: bool) -> int:
    api = context.api
    session = Session(
        tty=parsed["tty"],
        stdin=stdin,
        resize=lambda rows, columns: api.exec_resize(id, rows, columns),
        kill=None,
        detach_keys=parsed["detach-keys"],
    )
    with session.signals() as signals:
        stream = api.exec_start(id, tty=parsed["tty"], socket=True)
        session.resize()
        if session.pump(stream, signals):
            return 1
    if context.embedded:
        # A daemon has the exit on record when it closes the stream; here the stream is the shim's, and ends a little sooner.
        from minidock import daemon

        code = daemon.exec_wait(api.engine, id)
        daemon.exec_forget(api.engine, id)
        return code
    return int(api.exec_inspect(id)["ExitCode"] or 0)


def _exit_code(error: BaseException) -> int:
    """docker's: 127 for a command that is not there, 126 for any other start that fails, 1 when none was tried."""
    code: int = getattr(error, "exit_code", 1)
    if code in (126, 127):
        return code
    return 126 if isinstance(error, StartError) else 1


COMMAND = Command(
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    do,
    (
        boolean("detach", "d", "Detached mode: run command in the background"),
        string("detach-keys", help="Override the key sequence for detaching a container"),
        many("env", "e", "Set environment variables", parse=envfile.environment),
        many("env-file", help="Read in a file of environment variables"),
        boolean("interactive", "i", "Keep STDIN open even if not attached"),
        boolean("privileged", help="Give extended privileges to the command"),
        boolean("tty", "t", "Allocate a pseudo-TTY"),
        string("user", "u", 'Username or UID (format: "<name|uid>[:<group|gid>]")'),
        string("workdir", "w", "Working directory inside the container"),
    ),
    least=2,
    interspersed=False,
    aliases=("container exec", "exec"),
)

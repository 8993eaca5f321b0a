"""``minidock run``: create, attach, start, pump, wait.

::

    run.do ── create.create ──> client.create_container_from_config ──> daemon/containers/create.py
      │
      ├─ client.attach_socket      the stream is there before the process, so that not a byte of output is lost
      ├─ client.start              ──> daemon/containers/start.py ──> execdriver ──> zygote ──> shim ──> init ──> execve
      ├─ Session.pump              keyboard, screen, signals, window size
      └─ client.wait               the exit code becomes ours
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from minidock.cli import failures
from minidock.cli.context import Context
from minidock.cli.create import body, create
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, boolean, string
from minidock.cli.opts.run_flags import FLAGS
from minidock.cli.streams import say
from minidock.cli.terminal import exitcode
from minidock.cli.terminal.session import Session, check_tty
from minidock.cli.terminal.tty import size

if TYPE_CHECKING:
    from minidock.client.api import APIClient

_ROOM = 4 << 20  # bytes of address space for taking back what was made; no memory until somebody writes there


def do(context: Context, parsed: Parsed) -> int:
    """Run a container; returns its command's exit code, or 125, 126, 127 (see main.py)."""
    config = body(context, parsed)
    if parsed["detach"]:
        return _background(context, parsed, config)
    check_tty(config["AttachStdin"], config["Tty"])
    return _foreground(context, parsed, config)


def _background(context: Context, parsed: Parsed, config: dict[str, Any]) -> int:
    if parsed["attach"]:
        raise UsageError("conflicting options: cannot specify both --attach and --detach", 1)
    config |= {"AttachStdin": False, "AttachStdout": False, "AttachStderr": False, "StdinOnce": False}
    id = ""
    try:
        id = create(context, parsed, config)
        context.api.start(id)
    except failures.caught() as error:
        raise _refused(context, id, error) from None
    say(id)
    return 0


def _foreground(context: Context, parsed: Parsed, config: dict[str, Any]) -> int:
    api, tty = context.api, config["Tty"]
    if tty:
        config["HostConfig"]["ConsoleSize"] = list(size())
    id = ""
    wanted = {name: config[f"Attach{name.title()}"] for name in ("stdout", "stderr")}
    session = Session.with_container(api, lambda: id, parsed, tty=tty, stdin=config["AttachStdin"])
    with session.signals() as signals:
        with _taken_back(lambda: _discard(api, id, config)):
            try:
                id = create(context, parsed, config)
                stream = session.attach(api, id, **wanted) if session.stdin or any(wanted.values()) else None
                exit_code = exitcode.promise(api, id, removed=config["HostConfig"]["AutoRemove"])
                api.start(id)
            except failures.caught() as error:
                raise _refused(context, id, error) from None
        if stream and session.pump(stream, signals, **wanted):
            return 0
        if not stream:
            say(id)
            return 0
        with signals.armed():
            return exit_code()


@contextmanager
def _taken_back(undo: Callable[[], None]) -> Iterator[None]:
    """`undo` what was made when the ``with`` fails, also for lack of memory: some address space is kept free for that.

    An ImportError is a library that is here and for which there is no room.
    """
    room = mmap.mmap(-1, _ROOM)
    try:
        yield
    except (UsageError, MemoryError, ImportError):
        room.close()
        undo()
        raise
    finally:
        room.close()


def _discard(api: APIClient, id: str, config: dict[str, Any]) -> None:
    """--rm of a container that never ran; most often a failed start has done it."""
    if id and config["HostConfig"]["AutoRemove"]:
        with suppress(*failures.caught()):
            api.remove_container(id, v=True)


def _refused(context: Context, id: str, error: BaseException) -> UsageError:
    """docker's words, and 126 or 127 if the command could not be executed or found, else 125."""
    code = getattr(error, "exit_code", None)
    if id and code is None:
        # a daemon's client has no class for it, but the container's state says what a shell would say
        try:
            found = context.api.inspect_container(id)["State"]["ExitCode"]
            code = found if found in (126, 127) else 125
        except failures.caught():
            code = 125
    return context.fail(f"{failures.words(error)}", code or 125)


COMMAND = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    do,
    (
        *FLAGS,
        boolean("detach", "d", "Run container in background and print container ID"),
        string("detach-keys", help="Override the key sequence for detaching a container"),
        boolean("sig-proxy", help="Proxy received signals to the process", default=True),
    ),
    least=1,
    interspersed=False,
    aliases=("container run", "run"),
)

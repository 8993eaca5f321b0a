"""``minidock attach``: our terminal to a container that runs."""

from __future__ import annotations

from typing import Any

from minidock.cli.context import Context
from minidock.cli.grammar.command import Command, UsageError
from minidock.cli.grammar.flags import Parsed, boolean, string
from minidock.cli.terminal.session import Session, check_tty

_REFUSED = (
    ("Paused", "You cannot attach to a paused container, unpause it first"),
    ("Restarting", "You cannot attach to a restarting container, wait until it is running"),
)


def do(context: Context, parsed: Parsed) -> int:
    """Attach; returns the container's exit code if it ends meanwhile, 1 after the detach keys (as docker does)."""
    api = context.api
    found = api.inspect_container(parsed.args[0])
    _refuse(found["State"])
    id, config = found["Id"], found["Config"]
    stdin = config["OpenStdin"] and not parsed["no-stdin"]
    check_tty(stdin, config["Tty"])
    session = Session.with_container(api, lambda: id, parsed, tty=config["Tty"], stdin=stdin)
    with session.signals() as signals:
        stream = session.attach(api, id)
        session.redraw()
        if session.pump(stream, signals):
            return 1
        with signals.armed():
            return int(api.wait(id)["StatusCode"])


def _refuse(state: dict[str, Any]) -> None:
    for key, words in _REFUSED:
        if state.get(key):
            raise UsageError(words, 1)
    if not state["Running"]:
        raise UsageError("You cannot attach to a stopped container, start it first", 1)


COMMAND = Command(
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    do,
    (
        string("detach-keys", help="Override the key sequence for detaching a container"),
        boolean("no-stdin", help="Do not attach STDIN"),
        boolean("sig-proxy", help="Proxy all received signals to the process", default=True),
    ),
    least=1,
    most=1,
    aliases=("container attach", "attach"),
)

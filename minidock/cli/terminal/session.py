"""A foreground session: what run, start -a, attach and exec have in common once there is a stream.

Order matters here, and is docker's: signals are noted first, then the stream is there before the process, then the process is
started, the window size set, the bytes pumped; at last the exit code is asked for.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from minidock.cli.grammar.command import UsageError
from minidock.cli.grammar.flags import Parsed
from minidock.cli.streams import StreamError, complain
from minidock.cli.terminal import tty as terminal
from minidock.cli.terminal.pump import Pump
from minidock.cli.terminal.signals import FORWARDED, GIVE_UP_AFTER, Proxy

DETACHED = "read escape sequence"

if TYPE_CHECKING:
    from minidock.client.api import APIClient


class Session:
    """Signals, window size and bytes of one foreground process.

    `resize(rows, columns)` and `kill(name)` are the client's calls; `kill` None: signals are not handed on (--sig-proxy=false,
    exec). `tty`: the process has a terminal of its own. `stdin`: our standard input is to be sent.
    """

    def __init__(
        self,
        *,
        tty: bool,
        stdin: bool,
        resize: Callable[[int, int], Any],
        kill: Callable[[str], Any] | None,
        detach_keys: str = "",
    ) -> None:
        self.tty, self.stdin = tty, stdin
        self._resize, self._kill = resize, kill
        self._detach_keys = detach_keys
        self._interrupts = 0

    @classmethod
    def with_container(cls, api: APIClient, id: Callable[[], str], parsed: Parsed, *, tty: bool, stdin: bool) -> Session:
        """A session with a container's own process. `id` gives the container's (`run` knows it late); `parsed` has the flags
        detach-keys and sig-proxy."""
        return cls(
            tty=tty,
            stdin=stdin,
            resize=lambda rows, columns: api.resize(id(), rows, columns),
            kill=(lambda name: api.kill(id(), name)) if parsed["sig-proxy"] and not tty else None,
            detach_keys=parsed["detach-keys"],
        )

    def attach(self, api: APIClient, id: str, *, stdout: bool = True, stderr: bool = True) -> Any:
        """The stream of a container, before it is started or while it runs."""
        wanted = {"stdin": int(self.stdin), "stdout": int(stdout), "stderr": int(stderr)}
        return api.attach_socket(id, {**wanted, "stream": 1, "detachKeys": self._detach_keys})

    @contextmanager
    def signals(self) -> Iterator[Proxy]:
        """Note our signals from here on (before the container is made, so that none is lost)."""
        numbers = (FORWARDED if self._kill else ()) + ((signal.SIGWINCH,) if self.tty else ())
        with Proxy(numbers, self._on_signal) as proxy:
            yield proxy

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGWINCH:
            return self.resize()
        if number in (signal.SIGINT, signal.SIGTERM):
            self._interrupts += 1
            if self._interrupts >= GIVE_UP_AFTER:
                raise UsageError("\ngot 3 SIGTERM/SIGINTs, forcefully exiting", 1)
        if self._kill:
            self._kill(number.name)

    def resize(self) -> None:
        """Give the container's terminal the size of ours."""
        rows, columns = terminal.size(1)
        if self.tty and rows and columns:
            self._resize(rows, columns)

    def redraw(self) -> None:
        """Make a program that has been running draw its screen anew: another size first, then ours (docker's trick)."""
        rows, columns = terminal.size(1)
        if self.tty and rows and columns:
            self._resize(rows + 1, columns + 1)
            self._resize(rows, columns)

    def pump(self, attached: Any, proxy: Proxy, *, stdout: bool = True, stderr: bool = True) -> bool:
        """Move the bytes of the streams that are wanted. True when the user detached.

        `attached` is what the client gave: a socket, or a file over one.
        """
        from minidock.shim import detach

        sock: socket.socket = getattr(attached, "_sock", attached)
        keys = detach.Scanner(detach.parse(self._detach_keys)) if self.tty and self.stdin else None
        wanted = {"stdin": 0 if self.stdin else None, "stdout": 1 if stdout else None, "stderr": 2 if stderr else None}
        pump = Pump(sock, tty=self.tty, keys=keys, **wanted)
        with ExitStack() as stack:
            if self.tty and self.stdin:
                stack.enter_context(terminal.raw(0))
            stack.enter_context(proxy.armed())
            try:
                detached = pump.run()
            except StreamError as error:
                if error.broken and (self._kill is None or error.fd != 1):
                    raise
                # docker hands on every signal, SIGPIPE too, so that here the error is seen and told
                raise UsageError(str(error), 1) from None
        attached.close()
        if detached:
            complain(DETACHED)
        return detached


def check_tty(stdin: bool, tty: bool) -> None:
    """A terminal inside needs one outside, if our input is to be sent. Raises UsageError in docker's words."""
    if stdin and tty and not terminal.is_terminal(0):
        hint = ""
        if os.environ.get("MSYSTEM"):
            hint = ".  If you are using mintty, try prefixing the command with 'winpty'"
        raise UsageError(f"the input device is not a TTY{hint}", 1)

"""What a command gets besides its own flags: the global options, and the client, made when it is first asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from minidock.cli import failures
from minidock.cli.grammar.command import PROGRAM, UsageError, run_help
from minidock.cli.streams import complain, say
from minidock.frozen import Frozen

if TYPE_CHECKING:
    from minidock.client.api import APIClient


class Globals(Frozen):
    """The options before the command: `host` ("" for the engine in this process), `root` ("" for the default)."""

    host: str = ""
    root: str = ""
    debug: bool = False
    log_level: str = "info"


class Context:
    """One call of the command. `name` is how it was called ("run", "container run"). Close it."""

    def __init__(self, name: str, options: Globals) -> None:
        self.name, self.options = name, options

    @cached_property
    def api(self) -> APIClient:
        """The client in docker-py's low-level shape: the engine in this process, or with -H docker-py's own.

        Raises UsageError without root: the engine cannot do anything then, and says it in one line.
        """
        if self.options.host:
            return _remote(self.options.host)
        if os.geteuid() != 0:
            raise UsageError(f"{PROGRAM} needs root: run it with sudo", 1)
        from minidock.client.api import APIClient

        return APIClient(root=self.options.root or None)

    @property
    def embedded(self) -> bool:
        """True when the engine is in this process."""
        return not self.options.host

    def close(self) -> None:
        """Close the client if there is one."""
        if "api" in self.__dict__:
            self.api.close()

    def each(self, refs: Iterable[str], do: Callable[[str], Any]) -> int:
        """Call `do` for each and print what was done; complaints do not stop the others. Returns the exit code."""
        code = 0
        for ref in refs:
            try:
                do(ref)
            except failures.caught() as error:
                complain(failures.words(error))
                code = 1
            else:
                say(ref)
        return code

    def fail(self, text: str, code: int = 125) -> UsageError:
        """A mistake in the way docker's run says it: prefixed with the program, followed by where help is."""
        return UsageError(f"{PROGRAM}: {text}\n\n{run_help(f'{PROGRAM} {self.name}')}", code)


def _remote(host: str) -> APIClient:
    """docker-py's client of a daemon. Raises UsageError if nobody is there."""
    import docker

    try:
        return cast("APIClient", docker.APIClient(base_url=host, timeout=None))  # the shape that ours is made after
    except docker.errors.DockerException as error:
        raise UsageError(f"Cannot connect to the daemon at {host}. Is it running? ({error})", 1) from None

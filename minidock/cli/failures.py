"""What the client's errors become on the terminal: docker's words, and the exit code.

The engine in this process raises `minidock.errors`, a daemon's client ``docker.errors`` (same names, same fields). That package
is not imported to catch them: if it was never loaded, none of its errors can be under way.
"""

from __future__ import annotations

import sys

from minidock.errors import MinidockError


def caught() -> tuple[type[BaseException], ...]:
    """The classes to catch around a call of the client: ``except failures.caught() as error``."""
    found: list[type[BaseException]] = [MinidockError]
    if remote := sys.modules.get("docker.errors"):
        found.append(remote.DockerException)
    if http := sys.modules.get("requests.exceptions"):
        found.append(http.RequestException)
    return tuple(found)


def words(error: BaseException) -> str:
    """``Error response from daemon: …`` for what an engine said; what the client itself said stays as it is."""
    explanation = getattr(error, "explanation", None)
    return str(error) if explanation is None else f"Error response from daemon: {explanation}"


def status(error: BaseException) -> int | None:
    """The HTTP status of an engine's error, None if it is not one."""
    found = getattr(error, "status_code", None)
    return found if isinstance(found, int) else None


def is_missing(error: BaseException) -> bool:
    """True for 404: no such object."""
    return status(error) == 404

"""Every error minidock raises on purpose, as one tree, each with its HTTP status and its exit code.

The names are docker-py's where docker-py has one, so ``except docker.errors.ImageNotFound`` becomes
``except minidock.errors.ImageNotFound`` and nothing else changes::

    MinidockError                      anything minidock says on purpose
    ├── InvalidArgument                the Python API was called wrongly (before any engine was asked)
    │   ├── NullResource                   …with no name or id where one was due
    │   └── DeprecatedMethod               …in a way docker-py has given up
    ├── ContainerError                 containers.run(): the command ended with a non-zero status
    ├── ImageLoadError                 images.load(): the archive held no image
    └── APIError                       the engine refused or failed; carries an HTTP status
        ├── NotModified          304   stopping what is stopped, starting what runs
        ├── InvalidParameter     400   a name, number, size, mount or option that cannot be
        ├── Forbidden            403
        ├── NotFound             404
        │   ├── ContainerNotFound      No such container: x
        │   ├── ImageNotFound          No such image: x:latest
        │   ├── NetworkNotFound        network x not found
        │   ├── VolumeNotFound         get x: no such volume
        │   └── ExecNotFound           No such exec instance: x
        ├── Conflict             409   a name in use, removing what runs, killing what is stopped
        ├── SystemFault          500   the machine failed us: which step, on which path, which errno
        │   └── StartError             the container's process could not be started; exit code 125
        │       ├── CommandNotExecutable   …exit code 126
        │       └── CommandNotFound        …exit code 127
        ├── NotSupported         501   this kernel or build cannot do it
        └── Unavailable          503   the engine is not in a state to do it

A user's mistake is told in docker's own words, because clients match them. A real fault (SystemFault) says what was
being done to what. Nobody outside this module decides what an error means by reading its message.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, ClassVar


class MinidockError(Exception):
    """Base of everything minidock raises on purpose. ``exit_code`` is what the CLI ends with (125: the engine)."""

    exit_code: ClassVar[int] = 125


DockerException = MinidockError  # docker-py's name for the base


class InvalidArgument(MinidockError):
    """The Python API was called with arguments that make no sense together."""


class NullResource(InvalidArgument, ValueError):
    """No name or id was given where one was due (docker.errors.NullResource)."""


class DeprecatedMethod(InvalidArgument):
    """A call docker-py has given up, such as options for ``start`` (docker.errors.DeprecatedMethod)."""


class ImageLoadError(MinidockError):
    """An archive held no image (docker.errors.ImageLoadError)."""


class ContainerError(MinidockError):
    """``containers.run`` in the foreground: the command ended with a non-zero status.

    The fields are docker-py's: container, exit_status, command, image, stderr.
    """

    def __init__(self, container: Any, exit_status: int, command: Any, image: Any, stderr: bytes | None) -> None:
        self.container = container
        self.exit_status = exit_status
        self.command = command
        self.image = image
        self.stderr = stderr
        tail = f": {stderr!r}" if stderr is not None else ""
        super().__init__(f"Command '{command}' in image '{image}' returned non-zero exit status {exit_status}{tail}")


class APIError(MinidockError):
    """The engine refused or failed. ``status_code`` is the HTTP status; ``explanation`` is the message."""

    status_code: ClassVar[int] = 500

    def __init__(self, explanation: str) -> None:
        super().__init__(explanation)
        self.explanation = explanation

    def is_error(self) -> bool:
        """True for 4xx and 5xx: all but NotModified."""
        return self.is_client_error() or self.is_server_error()

    def is_client_error(self) -> bool:
        """True for 4xx: the caller's mistake."""
        return 400 <= self.status_code < 500

    def is_server_error(self) -> bool:
        """True for 5xx: the engine's or the machine's fault."""
        return 500 <= self.status_code < 600


class NotModified(APIError):
    """304: the object is already in the state that was asked for."""

    status_code = 304


class InvalidParameter(APIError):
    """400: a value that cannot be; found before anything was made."""

    status_code = 400


class Forbidden(APIError):
    """403: never allowed here."""

    status_code = 403


class NotFound(APIError):
    """404: no such object."""

    status_code = 404


class ContainerNotFound(NotFound):
    """404: docker's ``No such container: NAME``."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"No such container: {ref}")
        self.ref = ref


class ImageNotFound(NotFound):
    """404: docker's ``No such image: NAME:TAG``."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"No such image: {ref}")
        self.ref = ref


class NetworkNotFound(NotFound):
    """404: docker's ``network NAME not found``."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"network {ref} not found")
        self.ref = ref


class VolumeNotFound(NotFound):
    """404: docker's ``get NAME: no such volume``."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"get {ref}: no such volume")
        self.ref = ref


class ExecNotFound(NotFound):
    """404: docker's ``No such exec instance: ID``."""

    def __init__(self, ref: str) -> None:
        super().__init__(f"No such exec instance: {ref}")
        self.ref = ref


class Conflict(APIError):
    """409: another object, or the object's own state, stands in the way."""

    status_code = 409


class SystemFault(APIError):
    """500: a step failed on this machine.

    ``step`` names what was being done, ``path`` to what, ``errno`` why (0 when the kernel gave none).
    """

    status_code = 500

    def __init__(self, step: str, path: str = "", errno: int = 0, detail: str = "") -> None:
        self.step, self.path, self.errno, self.detail = step, path, errno, detail
        reason = detail or (os.strerror(errno).lower() if errno else "failed")
        super().__init__(f"{step}{f' {path}' if path else ''}: {reason}")

    @classmethod
    def from_oserror(cls, step: str, error: OSError) -> SystemFault:
        """Wrap an OSError, keeping its errno and path."""
        return cls(step, str(error.filename or ""), error.errno or 0, "" if error.errno else str(error))


class StartError(SystemFault):
    """The container's process could not be started (the step and path say where it stopped).

    ``kind`` is what it is called on the way from init to the engine; `START_ERRORS` leads back.
    """

    kind: ClassVar[str] = "start"


class CommandNotExecutable(StartError):
    """The command is there and cannot be executed: exit code 126, as from a shell."""

    exit_code = 126
    kind = "not-executable"


class CommandNotFound(StartError):
    """The command is not there: exit code 127, as from a shell."""

    exit_code = 127
    kind = "not-found"


START_ERRORS: dict[str, type[StartError]] = {error.kind: error for error in (StartError, CommandNotExecutable, CommandNotFound)}


class NotSupported(APIError):
    """501: this kernel, or this build, cannot do it. The message says what is missing and how to get it."""

    status_code = 501


class Unavailable(APIError):
    """503: the engine is not in a state to do it."""

    status_code = 503


def tree(root: type[MinidockError] = MinidockError) -> Iterator[type[MinidockError]]:
    """All classes of the tree, parents first: what the HTTP table and its test are made from."""
    yield root
    for child in root.__subclasses__():
        yield from tree(child)

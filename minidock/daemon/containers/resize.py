"""``resize``: tell a container's terminal its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.daemon.base.verb import verb
from minidock.daemon.record.names import lookup
from minidock.errors import Conflict, InvalidParameter

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


@verb
def resize(engine: Engine, ref: str, rows: int, cols: int) -> None:
    """Set the size of the container's pty, in characters. Raises ContainerNotFound, Conflict (it does not run)."""
    check_size(rows, cols)
    container = lookup(engine, ref)
    if not container.state().running:
        raise Conflict(f"Container {container.id} is not running")
    engine.execdriver.resize(engine.paths.shim_socket(container.id), rows, cols)


def check_size(rows: int, cols: int) -> None:
    """A window's sides are unsigned shorts (ioctl_tty(2), TIOCSWINSZ)."""
    if not (0 <= rows <= 65535 and 0 <= cols <= 65535):
        raise InvalidParameter(f"invalid terminal size: {rows}x{cols}")

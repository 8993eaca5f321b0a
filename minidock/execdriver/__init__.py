"""The seam between the daemon and whatever runs containers, as Docker 1.x had it (``daemon/execdriver``).

The daemon knows what stands here and nothing below it: of libcontainer and of the shims only what these modules hand on, each
loaded where it is needed. `native` is the one driver: it speaks to the zygote and the shims (``shim/protocol.py``), which use
`libcontainer`::

    config      a container as data, given to `ExecDriver.start`
    cgroups     limits and counters, whichever version is here
    security    capabilities, seccomp
    shims       what a shim is told, and what its attach stream speaks
    notes       the file of records
    spawn       zygotes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from minidock.frozen import Frozen

if TYPE_CHECKING:
    import socket

    from minidock.execdriver.config import Config, ExecConfig
    from minidock.execdriver.shims import ShimConfig


class Exit(Frozen):
    """How a process ended: `code` as a shell would say it (128+n for signal n), OOM kill seen, when (RFC 3339)."""

    code: int
    oom_killed: bool = False
    error: str = ""
    finished_at: str = ""


class Started(Frozen):
    """A process that runs: its pid and start time (clock ticks, /proc/PID/stat field 22), seen from the host."""

    pid: int
    pid_start: int
    started_at: str
    warnings: tuple[str, ...] = ()
    trace: tuple[dict[str, Any], ...] = ()


class Running(Protocol):
    """A started process, as long as this engine stays its owner. Close it (or leave the ``with``) to let it go its way."""

    started: Started

    def wait(self, timeout: float | None = None) -> Exit:
        """Block until the exit; TimeoutError after `timeout` seconds."""
        ...

    def release(self) -> None:
        """Say that what is due after the exit has been done: the shim ends without the after-exit entry."""
        ...

    def hang_up(self) -> None:
        """End a `wait` in another thread, which then closes. The process goes on; at its exit the shim looks after itself."""
        ...

    def close(self) -> None:
        """Hang up, when no thread is in `wait`."""
        ...


class ExecDriver(Protocol):
    """Runs containers. Every method raises errors of `minidock.errors` (StartError and its children for a failed start)."""

    name: str

    def start(
        self,
        config: Config,
        shim: ShimConfig,
        *,
        attach: socket.socket | None = None,
        on_created: Callable[[int], None] | None = None,
        lock: int = -1,
    ) -> Running:
        """Start a container. `on_created(pid)` is called when its namespaces exist and before its command is executed
        (that is when the network is put in). `attach` is the shim's end of a socketpair (closed here once sent).

        `lock` is the descriptor of a lock (flock(2)) that the start is to hold too: should we be killed, nobody gets it before
        all that was begun is taken back."""
        ...

    def exec(self, config: ExecConfig, shim: ShimConfig, *, attach: socket.socket | None = None) -> Running:
        """Start one more process in a running container."""
        ...

    def attach(self, shim_socket: str, *, stdin: bool, stdout: bool, stderr: bool, detach_keys: str = "") -> socket.socket:
        """A docker hijack stream (raw with a tty, 8-byte frames without) to a running shim."""
        ...

    def resize(self, shim_socket: str, rows: int, cols: int) -> None:
        """Set the window size of the pty."""
        ...

    def wait(self, shim_socket: str, timeout: float | None = None) -> Exit | None:
        """Block until that shim's process ends. None if the shim is already gone (read exit.json then)."""
        ...

    def own(self, shim_socket: str) -> Running | None:
        """Become the owner of a running process's exit. None if the shim is already gone."""
        ...

"""``wait``: sleep until a container has ended, ends next, or is gone. From any process."""

from __future__ import annotations

import fcntl
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from minidock.daemon.base.verb import verb
from minidock.daemon.base.watch import watch
from minidock.daemon.exits.settle import wait_for_end
from minidock.daemon.record.container import Container, State
from minidock.daemon.record.names import lookup
from minidock.errors import ContainerNotFound, InvalidParameter

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.execdriver import Exit

CONDITIONS = ("not-running", "next-exit", "removed")


@verb
def wait(engine: Engine, ref: str, condition: str = "not-running", timeout: float | None = None) -> dict[str, Any]:
    """Block until `condition` holds; returns ``{"StatusCode", "Error"}`` of the last exit.

    not-running holds at once for a container that does not run; next-exit waits for an exit that is still to come; removed
    waits until the container is gone. `timeout` in seconds. Raises InvalidParameter, ContainerNotFound, TimeoutError.
    """
    condition = condition or "not-running"
    if condition not in CONDITIONS:
        raise InvalidParameter(f'invalid condition: "{condition}"')
    container = lookup(engine, ref)
    deadline = None if timeout is None else time.monotonic() + timeout
    waiter = _Waiter(engine, container, condition, deadline)
    with ExitStack() as stack:
        changes = None
        while not waiter.done():
            if waiter.sleep_at_shim():
                continue
            if changes is None:  # from here on no change is missed; one that came before is seen by another look
                changes = stack.enter_context(watch(container.directory))
                continue
            changes.wait(waiter.left())
    return waiter.result()


@verb
def outcome(engine: Engine, id: str) -> int:
    """The exit code of a container that this engine has started, once it is removed (--rm); it may be gone already.

    The thread that looks after the exit is all that is waited for. Only if another process did that, by a ``restart``, this is
    `wait` until the container is removed.
    """
    ended = engine.exits.join(id)
    try:
        return int(wait(engine, id, "removed")["StatusCode"])
    except ContainerNotFound:
        if ended is None:
            raise
        return ended.code


class _Waiter:
    """One wait: the state it looked at last, and whether that is enough."""

    def __init__(self, engine: Engine, container: Container, condition: str, deadline: float | None) -> None:
        self.engine, self.container, self.condition, self.deadline = engine, container, condition, deadline
        self.state: State = container.state()
        self.first = self.state

    def done(self) -> bool:
        """Look, and say whether the wait is over."""
        if not self.container.refresh():
            return self._gone()
        state = self.container.state()
        if not self.container.directory.exists():
            return self._gone()  # looked at while it went: what was seen before is what counts
        self.state = state
        if self.condition == "removed":
            return False
        if self.state.active:
            return False
        if self.condition == "not-running":
            return True
        # next-exit: a run that was not over when we came, is now
        over = self.state.run > self.first.run if not self.first.running else self.state.run >= self.first.run
        return self.state.run > 0 and over

    def _gone(self) -> bool:
        """The container was removed. If that was before we saw its end, the end is known only if it was ours to look after.

        Raises ContainerNotFound rather than to make up an exit code. (Without --rm, one that never ran has docker's 0.)
        """
        if self.state.status != "exited":
            ended = self.engine.exits.ended(self.container.id)
            if ended is not None:
                self._take(ended)
            elif self.state.run or self.container.host_config.get("AutoRemove"):
                self._let_it_finish()
                raise ContainerNotFound(self.container.id)
        self._let_it_finish()
        return True

    def _let_it_finish(self) -> None:
        """Whoever removes it holds its lock until its name and addresses are free, too."""
        with suppress(FileNotFoundError), open(self.engine.paths.tmp / self.container.id / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)

    def _take(self, ended: Exit) -> None:
        run, started, finished = self.state.run, self.state.started_at, ended.finished_at
        self.state = State("exited", 0, 0, run, ended.code, ended.error, ended.oom_killed, started, finished)

    def sleep_at_shim(self) -> bool:
        """Sleep at the running container's shim; False if there is none to sleep at."""
        if not self.state.running:
            return False
        try:
            ended = wait_for_end(self.engine, self.container, self.state, self.left())
        except TimeoutError:
            raise TimeoutError(f"container {self.container.id[:12]} still runs") from None
        if ended is not None:
            self._take(ended)
        return True

    def left(self) -> float | None:
        """Seconds left. Raises TimeoutError when there are none."""
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"waited for {self.condition} of container {self.container.id[:12]}")
        return left

    def result(self) -> dict[str, Any]:
        """The Engine API's answer."""
        error = {"Message": self.state.error} if self.state.error else None
        return {"StatusCode": self.state.exit_code, "Error": error}

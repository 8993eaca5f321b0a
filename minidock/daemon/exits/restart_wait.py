"""The time between two runs of a restart policy: how long, and how it is called off.

Nobody may hold the container's lock meanwhile, and ``stop`` must not have to wait: so the waiting process listens on
``RUN/<id>/restart.sock``, where ``stop``, ``restart`` and ``rm -f`` call it off.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from minidock.daemon.base import timestamps
from minidock.linux import trace

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.record.container import Container, State

# docker's restartmanager: the wait doubles from one start to the next, and begins anew after a run that lasted.
FIRST_DELAY, MAX_DELAY, LASTING_RUN = 0.1, 60.0, 10.0  # seconds


def next_delay(container: Container, state: State) -> float:
    """Seconds to wait before the next start."""
    lasted = (timestamps.to_ns(state.finished_at) - timestamps.to_ns(state.started_at)) / 1e9
    before = float(container.record.get("RestartDelay") or 0)
    return FIRST_DELAY if lasted >= LASTING_RUN or not before else min(2 * before, MAX_DELAY)


def listen(engine: Engine, container: Container, stack: ExitStack) -> socket.socket:
    """Make restart.sock; it goes with `stack`."""
    path = engine.paths.run_dir(container.id) / "restart.sock"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    with trace.step("listen", path):
        listener.bind(str(path))
        stack.callback(path.unlink, missing_ok=True)
        listener.listen(16)
    return listener


def wait_for_call(listener: socket.socket, delay: float, stop: int) -> bool:
    """Wait `delay` seconds, or until somebody calls it off; a connection without a word (`somebody_waits`) is no call.

    False if `stop` became readable.
    """
    deadline = time.monotonic() + delay
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    if stop >= 0:
        poll.register(stop, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        for readable, _events in poll.poll(left * 1000):
            if readable == stop:
                return False
            with listener.accept()[0] as caller:
                if caller.recv(16):
                    return True
    return True


def somebody_waits(engine: Engine, container: Container) -> bool:
    """Whether another process waits out the time between two runs already."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(engine.paths.run_dir(container.id) / "restart.sock"))
        except OSError:
            return False
    return True


def call_off(engine: Engine, container: Container) -> None:
    """End the wait between two runs, if there is one; returns when it has ended."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(str(engine.paths.run_dir(container.id) / "restart.sock"))
            sock.sendall(b"call off")
            sock.recv(1)
        except OSError:  # nobody waits, or not any more
            return

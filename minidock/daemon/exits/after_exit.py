"""What is due when a container has ended: give the address back, remove it (--rm), or start it again (--restart).

It is done by whoever is there. An engine that started the container does it in its own process (``exits.py``). With no engine
left the shim execs ``python -m minidock.daemon.exits.after_exit ROOT ID RUN``: this module, as an engine of its own.

Everything happens under the container's lock, and only if run number RUN is still the last one: a ``restart`` or ``rm -f`` that
was faster has done the work already. Between two runs of a restart policy nobody may hold the lock, and ``stop`` must not have
to wait: so the waiting process listens on ``RUN/<id>/restart.sock``, where ``stop`` and ``rm`` call it off.

``RUN/<id>/after-exit`` is there from a start that will leave such work until the work is done: whoever finds it beside an
exit.json knows that the container is not at rest yet (docker's *restarting*).
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from minidock.daemon.base import proc, timestamps
from minidock.daemon.record import execs, network, removal
from minidock.daemon.record.container import Container, State
from minidock.errors import ContainerNotFound, SystemFault
from minidock.linux import trace
from minidock.linux.files import write_atomic

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

# docker's restartmanager: the wait doubles from one start to the next, and begins anew after a run that lasted.
FIRST_DELAY, MAX_DELAY, LASTING_RUN = 0.1, 60.0, 10.0  # seconds


def after_exit(engine: Engine, id: str, run: int, stop: int = -1) -> None:
    """Do what is due after run number `run` of container `id`. Safe to repeat. Raises SystemFault.

    The wait between two runs is given up when the descriptor `stop` becomes readable: then the work is left to another.
    """
    try:
        container = Container.load(engine, id)
        with ExitStack() as stack:
            with container.locked():
                state = end_orphan(container)
                if state.run != run or state.running:
                    return
                settle(engine, container, state)
                if container.host_config.get("AutoRemove"):
                    removal.remove_locked(engine, container, volumes=True)
                    return
                if somebody_waits(engine, container):
                    return
                if not container.restart_due(state.exit_code):
                    removal.remove_tree(engine.paths.run_dir(id))
                    return
                delay = next_delay(container, state)
                listener = listen(engine, container, stack)
            if not wait_for_call(listener, delay, stop):
                return
        start_again(engine, container, run, delay)
    except ContainerNotFound:
        return


def settle(engine: Engine, container: Container, state: State) -> None:
    """Leave nothing of a run that has ended: what its shim did not do (it was killed) is done here. Safe to repeat."""
    if not state.run:
        return
    record_lost(container, state)
    network.release(engine, container)
    execs.forget(engine, container.id)


def end_orphan(container: Container) -> State:
    """The container's state, once it has ended if its shim was killed: no container is ever without one."""
    state = container.state()
    if not state.running or state.shim_alive:
        return state
    removal.remove_cgroup(container)
    proc.wait_for_end(state.pid, state.pid_start)
    return container.state()


def shim_gone(container: Container, state: State) -> None:
    """For whoever waits for the end of a run, last seen in `state`, and finds no shim: return when that is written down."""
    end_orphan(container)
    proc.wait_for_end(state.pid, state.pid_start)
    record_lost(container, container.state())


def record_lost(container: Container, state: State) -> None:
    """In the place of a shim that was killed: remove the cgroup and write exit.json, so that the end has a time that stays."""
    if state.running or int(container.exit_json().get("run", 0)) >= state.run:
        return
    removal.remove_cgroup(container)
    lost = {"run": state.run, "code": state.exit_code, "oom_killed": False, "error": "", "finished_at": timestamps.now()}
    with suppress(FileNotFoundError):  # removed meanwhile
        write_atomic(container.directory / "exit.json", json.dumps(lost))


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


def start_again(engine: Engine, container: Container, run: int, delay: float) -> None:
    """The next run, unless the container was stopped, started or removed meanwhile."""
    from minidock.daemon.containers.start import start_locked

    with engine.exits.watcher(container.id) as watch, container.locked():
        state = container.state()
        if state.run != run or state.running:
            return
        if not container.restart_due(state.exit_code):
            removal.remove_tree(engine.paths.run_dir(container.id))
            return
        again = start_locked(engine, container)
        watch(again.number, again.running)
        # Counted after the start: the count may use up the policy, and until then the container is restarting.
        container.record["RestartCount"] += 1
        container.record["RestartDelay"] = delay
        container.save(durable=False)


def main(root: str, id: str, run: int) -> int:
    """The entry that a shim execs. A fault has nobody to be told to but the zygote's log."""
    from minidock.daemon.engine import Engine

    try:
        with Engine(root, reconcile=False) as engine:
            after_exit(engine, id, run)
    except SystemFault as error:
        print(f"after exit of {id}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

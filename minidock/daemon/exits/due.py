"""What is due after an exit: the address goes back, the container is removed (--rm), or started again (--restart).

This is the one place that does it, for whoever learns of the exit first (``exits/__init__.py`` has the drawing). Everything
happens under the container's lock, and only if run number RUN is still the last one: a ``restart`` or ``rm -f`` that was
faster has done the work already.

``RUN/<id>/after-exit`` is there from a start that will leave such work until the work is done: whoever finds it beside an
exit.json knows that the container is not at rest yet (docker's *restarting*).
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from minidock.daemon.base.rmtree import remove_tree
from minidock.daemon.exits.restart_wait import listen, next_delay, somebody_waits, wait_for_call
from minidock.daemon.exits.settle import end_orphan, settle
from minidock.daemon.record import network, removal
from minidock.daemon.record.container import Container, State
from minidock.errors import ContainerNotFound

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


def mark(engine: Engine, container: Container) -> Path:
    """The file that is there as long as something is due after the exit."""
    return engine.paths.run_dir(container.id) / "after-exit"


def leaves_work(container: Container) -> bool:
    """Whether an exit leaves work: to remove, to restart, or an address to give back. If not, no Python is started for it."""
    host_config = container.host_config
    waits = bool(host_config.get("AutoRemove")) or host_config["RestartPolicy"]["Name"] not in ("", "no")
    return waits or network.plain(network.mode_of(container)) not in ("none", "host", "container")


def after_exit(engine: Engine, id: str, run: int, stop: int = -1) -> None:
    """Do what is due after run number `run` of container `id`. Safe to repeat. Raises SystemFault.

    The wait between two runs is given up when the descriptor `stop` becomes readable: then the work is left to another.
    """
    try:
        container = Container.load(engine, id)
        with ExitStack() as stack:
            with container.locked():
                state = end_orphan(container)
                if state.run != run or state.running or somebody_waits(engine, container):
                    return
                if not finish(engine, container, state):
                    return
                delay = next_delay(container, state)
                listener = listen(engine, container, stack)
            if not wait_for_call(listener, delay, stop):
                return
        start_again(engine, container, run, delay)
    except ContainerNotFound:
        return


def finish(engine: Engine, container: Container, state: State) -> bool:
    """What can be done at once after the run in `state`; the caller holds the lock. True if a restart is to follow."""
    settle(engine, container, state)
    if container.host_config.get("AutoRemove"):
        removal.remove_locked(engine, container, volumes=True)
        return False
    if state.run and container.restart_due(state.exit_code):
        return True
    remove_tree(engine.paths.run_dir(container.id))
    return False


def start_again(engine: Engine, container: Container, run: int, delay: float) -> None:
    """The next run, unless the container was stopped, started or removed meanwhile."""
    with engine.exits.watcher(container.id) as watch, container.locked():
        state = container.state()
        if state.run != run or state.running:
            return
        if not container.restart_due(state.exit_code):
            remove_tree(engine.paths.run_dir(container.id))
            return
        watch(engine.exits.start(engine, container))
        # Counted after the start: the count may use up the policy, and until then the container is restarting.
        container.record["RestartCount"] += 1
        container.record["RestartDelay"] = delay
        container.save(durable=False)

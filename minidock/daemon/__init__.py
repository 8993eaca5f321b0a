"""The engine's plan on the wall: every verb by its name, and the room it is done in.

``daemon.create(engine, …)`` is done by ``containers/create.py``, which is loaded at that moment: a ``minidock ps`` never loads
what starts a container. The rooms, each of which imports only those before it (``tests/unit/daemon/test_rooms.py``)::

    base        paths, processes, time: what every room stands on
    request     the API's dictionaries, parsed and judged
    record      what is kept of a container, and how it is found and removed
    exits       what is due when a run has ended, and who does it
    containers  images  volumes  networks     the verbs, one a file
    system      the verbs that look at the whole instance
    engine.py   builds the parts that the verbs are given
"""

from __future__ import annotations

from contextlib import ExitStack
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minidock.daemon.containers.attach import attach as attach
    from minidock.daemon.containers.create import create as create
    from minidock.daemon.containers.exec import exec_create as exec_create
    from minidock.daemon.containers.exec import exec_forget as exec_forget
    from minidock.daemon.containers.exec import exec_inspect as exec_inspect
    from minidock.daemon.containers.exec import exec_resize as exec_resize
    from minidock.daemon.containers.exec import exec_start as exec_start
    from minidock.daemon.containers.exec import exec_wait as exec_wait
    from minidock.daemon.containers.export import export as export
    from minidock.daemon.containers.inspect import inspect as inspect
    from minidock.daemon.containers.kill import kill as kill
    from minidock.daemon.containers.logs import logs as logs
    from minidock.daemon.containers.pause import pause as pause
    from minidock.daemon.containers.prune import prune_containers as prune_containers
    from minidock.daemon.containers.ps import ids as ids
    from minidock.daemon.containers.ps import ps as ps
    from minidock.daemon.containers.rename import rename as rename
    from minidock.daemon.containers.resize import resize as resize
    from minidock.daemon.containers.restart import restart as restart
    from minidock.daemon.containers.rm import rm as rm
    from minidock.daemon.containers.run import run as run
    from minidock.daemon.containers.start import start as start
    from minidock.daemon.containers.stats import stats as stats
    from minidock.daemon.containers.stop import stop as stop
    from minidock.daemon.containers.top import top as top
    from minidock.daemon.containers.unpause import unpause as unpause
    from minidock.daemon.containers.update import update as update
    from minidock.daemon.containers.wait import outcome as outcome
    from minidock.daemon.containers.wait import wait as wait
    from minidock.daemon.engine import Engine
    from minidock.daemon.exits.reconcile import reconcile as reconcile
    from minidock.daemon.images.bootstrap import bootstrap as bootstrap
    from minidock.daemon.images.history import history as history
    from minidock.daemon.images.import_ import import_ as import_
    from minidock.daemon.images.inspect import inspect_image as inspect_image
    from minidock.daemon.images.load import load as load
    from minidock.daemon.images.ls import list_images as list_images
    from minidock.daemon.images.prune import prune_images as prune_images
    from minidock.daemon.images.rmi import rmi as rmi
    from minidock.daemon.images.tag import tag as tag
    from minidock.daemon.networks.ls import inspect_network as inspect_network
    from minidock.daemon.networks.ls import list_networks as list_networks
    from minidock.daemon.record.records import records as records
    from minidock.daemon.system.after_boot import restart_after_boot as restart_after_boot
    from minidock.daemon.system.df import df as df
    from minidock.daemon.system.info import info as info
    from minidock.daemon.system.teardown import teardown as teardown
    from minidock.daemon.system.version import version as version
    from minidock.daemon.volumes.ls import inspect_volume as inspect_volume
    from minidock.daemon.volumes.ls import list_volumes as list_volumes

_PLAN = {
    "create": "containers.create",
    "start": "containers.start",
    "run": "containers.run",
    "attach": "containers.attach",
    "wait": "containers.wait",
    "outcome": "containers.wait",
    "stop": "containers.stop",
    "kill": "containers.kill",
    "restart": "containers.restart",
    "pause": "containers.pause",
    "unpause": "containers.unpause",
    "rename": "containers.rename",
    "resize": "containers.resize",
    "update": "containers.update",
    "rm": "containers.rm",
    "prune_containers": "containers.prune",
    "ps": "containers.ps",
    "ids": "containers.ps",
    "inspect": "containers.inspect",
    "logs": "containers.logs",
    "top": "containers.top",
    "stats": "containers.stats",
    "export": "containers.export",
    "exec_create": "containers.exec",
    "exec_start": "containers.exec",
    "exec_forget": "containers.exec",
    "exec_inspect": "containers.exec",
    "exec_resize": "containers.exec",
    "exec_wait": "containers.exec",
    "list_images": "images.ls",
    "inspect_image": "images.inspect",
    "history": "images.history",
    "tag": "images.tag",
    "rmi": "images.rmi",
    "prune_images": "images.prune",
    "load": "images.load",
    "import_": "images.import_",
    "bootstrap": "images.bootstrap",
    "list_volumes": "volumes.ls",
    "inspect_volume": "volumes.ls",
    "list_networks": "networks.ls",
    "inspect_network": "networks.ls",
    "info": "system.info",
    "version": "system.version",
    "df": "system.df",
    "teardown": "system.teardown",
    "records": "record.records",
    "reconcile": "exits.reconcile",
    "restart_after_boot": "system.after_boot",
}


def open_engine(
    root: str | PathLike[str] | None = None, *, storage_driver: str | None = None, userns_remap: str = ""
) -> Engine:
    """An engine (`Engine` has the arguments) that has taken back what killed processes left half done. Close it.

    Raises SystemFault if the root cannot be used.
    """
    from minidock.daemon.engine import Engine
    from minidock.daemon.exits.reconcile import reconcile

    with ExitStack() as undo:
        engine = undo.enter_context(Engine(root, storage_driver=storage_driver, userns_remap=userns_remap))
        reconcile(engine)
        undo.pop_all()
    return engine


if not TYPE_CHECKING:  # mypy would take any name for a verb

    def __getattr__(name: str) -> Any:
        """Load a verb when it is first asked for (PEP 562)."""
        if name not in _PLAN:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(__import__(f"{__name__}.{_PLAN[name]}", fromlist=(name,)), name)
        globals()[name] = found
        return found

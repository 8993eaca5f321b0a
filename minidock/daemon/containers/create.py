"""``create``: check everything, then make a container that is whole or not there.

::

    tmp/<id>/lock       made and locked first: as long as somebody holds it, the container is being made
      a cgroup          for a moment: limits that the kernel refuses leave no container
      name              a row in linkgraph.db
      layer             the storage driver's writable layer on the image's; is the working directory one?
      config.json
      volumes
    rename to containers/<id>: from here on it exists
"""

from __future__ import annotations

import json
import os
import posixpath
import stat
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from minidock.daemon.base import timestamps
from minidock.daemon.base.rmtree import remove_tree
from minidock.daemon.base.verb import verb
from minidock.daemon.record import cgroup_parent, names, network, removal, volumes
from minidock.daemon.record.container import same_file
from minidock.daemon.request import mounts, remap
from minidock.daemon.request.parse import parse
from minidock.errors import InvalidParameter
from minidock.execdriver import cgroups
from minidock.linux import files, trace

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine
    from minidock.daemon.request.validate import Request
    from minidock.daemon.request.wire import (
        ConfigRequest,
        ContainerConfig,
        CreateResponse,
        HostConfig,
        IPAMConfig,
        NetworkingConfig,
        Record,
    )
    from minidock.graph.store import Image


@verb
def create(
    engine: Engine,
    config: ConfigRequest,
    host_config: HostConfig | None = None,
    name: str | None = None,
    networking_config: NetworkingConfig | None = None,
) -> CreateResponse:
    """Make a container from the Engine API's ``Config`` and ``HostConfig``; returns ``{"Id", "Warnings"}``.

    `networking_config` is ``{"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address"}}}}``. Raises InvalidParameter,
    ImageNotFound, Conflict (the name) before anything is made; SystemFault leaves nothing.
    """
    name = names.validate(name) if name else None
    image = engine.images.get(config.get("Image") or "")
    image_config = cast("ConfigRequest", image.config.get("config") or image.config.get("Config") or {})
    request = parse(config, host_config or {}, image_config, bool(engine.userns_remap))
    cgroup_parent.check(engine.paths, request.host_config.get("CgroupParent") or "")
    request = request._replace(host_config=resolve_joined(engine, request.host_config))
    engine.networks.driver(network.mode_name(request.config, request.host_config))
    record = new_record(engine, request, image)
    record["Network"] = wanted_address(request.host_config, networking_config)
    with engine.images.lock():  # nobody deletes the image before the container is there to need it
        engine.images.get(image.id)
        make(engine, record, name, image, request.mounts)
    return {"Id": record["ID"], "Warnings": [*request.warnings]}


def resolve_joined(engine: Engine, host_config: HostConfig) -> HostConfig:
    """``container:ID`` for ``container:NAME``, so that a rename changes nothing. Raises ContainerNotFound, InvalidParameter."""
    resolved = host_config.copy()
    key: Literal["NetworkMode", "IpcMode", "PidMode"]
    for key in ("NetworkMode", "IpcMode", "PidMode"):
        kind, _, ref = (host_config.get(key) or "").partition(":")
        if kind == "container":
            other = names.lookup(engine, ref)
            if key == "IpcMode" and other.host_config.get("IpcMode") not in ("shareable", "host"):
                hint = "(hint: use IpcMode:shareable for the donor container)"
                raise InvalidParameter(f"can't join IPC of container {other.id}: non-shareable IPC {hint}")
            resolved[key] = f"container:{other.id}"
    return resolved


def wanted_address(host_config: HostConfig, networking_config: NetworkingConfig | None) -> IPAMConfig:
    """``--ip``: the IPAMConfig of the endpoint. Raises InvalidParameter where the network gives no such address."""
    endpoints = networking_config.get("EndpointsConfig") or {} if networking_config else {}
    mode = host_config["NetworkMode"]
    for name, endpoint in endpoints.items():
        if network.plain(name) != network.plain(mode):
            raise InvalidParameter(f"conflicting options: cannot attach to network {name} with network mode {mode}")
        wanted: IPAMConfig = (endpoint.get("IPAMConfig") if endpoint else None) or {}
        if wanted.get("IPv4Address"):
            network.check_address(mode, wanted["IPv4Address"])
        return wanted
    return {}


def new_record(engine: Engine, request: Request, image: Image) -> Record:
    """What config.json will hold, for a container with an id of its own."""
    id = os.urandom(32).hex()
    config, host_config = request.config.copy(), request.host_config
    if not config["Hostname"]:
        shares = host_config.get("UTSMode") == "host" or host_config["NetworkMode"] == "host"
        config["Hostname"] = os.uname().nodename if shares else id[:12]
    words = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    return {
        "ID": id,
        "Created": timestamps.now(),
        "Image": image.id,
        "Path": words[0],
        "Args": words[1:],
        "Config": config,
        "HostConfig": host_config,
        "Driver": engine.layers.name,
        "RestartCount": 0,
        "ManuallyStopped": False,
    }


def make(engine: Engine, record: Record, name: str | None, image: Image, asked: Sequence[mounts.MountPoint]) -> None:
    """Make the container on disk, by the `name` it is to have (None: a random one), with the mounts `asked` for.

    On a fault all of it is taken back, last thing first.
    """
    id: str = record["ID"]
    half, whole = engine.paths.tmp / id, engine.paths.container(id)
    owner = root_owner(engine, record["HostConfig"])
    with ExitStack() as lock, ExitStack() as undo:
        undo.callback(remove_tree, whole)
        undo.callback(removal.remove_claimed, half)
        claim(half, lock)
        cgroups.try_out(engine.paths.cgroup(id), cgroups.from_host_config(record["HostConfig"]))
        undo.callback(names.release, engine, id)
        names.reserve(engine, id, name)
        undo.callback(engine.layers.remove, id)
        engine.layers.create(id, engine.images.top_layer(image), owner=owner)
        working_directory(engine, id, record["Config"])
        points = [volumes.resolve(engine, point) for point in asked]
        record["MountPoints"] = [point.record() for point in points]
        write_record(half, record)  # before the volumes, so that it can tell which they are if we are killed
        for point in points:
            volumes.prepare(engine, point, id, owner, undo)
        with trace.step("rename", whole):
            half.rename(whole)
        undo.pop_all()


def working_directory(engine: Engine, id: str, config: ContainerConfig) -> None:
    """Spell the working directory in `config` plainly, and look whether it is one: one that is missing is made at the start.

    As docker, looks at the image without the volumes, with all links followed inside its root. Raises InvalidParameter.
    """
    if not config.get("WorkingDir"):
        return
    path = config["WorkingDir"] = "/" + posixpath.normpath(config["WorkingDir"]).lstrip("/")
    if path == "/":
        return
    from minidock.linux.openat2 import openat2  # needs ctypes

    with ExitStack() as stack:
        root = os.open(stack.enter_context(engine.layers.mounted(id)), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root)
        try:
            found = openat2(root, path, os.O_PATH)
        except FileNotFoundError:
            return
        except OSError as error:
            raise InvalidParameter(f"Cannot mkdir: {path}: {os.strerror(error.errno or 0).lower()}") from None
        stack.callback(os.close, found)
        if not stat.S_ISDIR(os.fstat(found).st_mode):
            raise InvalidParameter(f"Cannot mkdir: {path} is not a directory")


def claim(half: Path, lock: ExitStack) -> None:
    """Make `half` (``tmp/<id>``) and hold its lock, in `lock`.

    An engine that found the folder before it was locked may have swept it away.
    """
    while True:
        with trace.step("mkdir", half):
            half.mkdir(mode=0o700, exist_ok=True)
        try:
            with ExitStack() as attempt:
                fd = attempt.enter_context(files.flock(half / "lock"))
                if same_file(fd, half / "lock"):
                    lock.push(attempt.pop_all())
                    return
        except FileNotFoundError:
            continue


def root_owner(engine: Engine, host_config: HostConfig) -> tuple[int, int]:
    """The host's uid and gid of the container's root."""
    if not remapped(engine, host_config):
        return (0, 0)
    uid_map, gid_map = remap.id_maps(engine.userns_remap)
    return uid_map[0].host, gid_map[0].host


def remapped(engine: Engine, host_config: HostConfig) -> bool:
    """Whether the container gets a user namespace of its own."""
    mode = host_config.get("UsernsMode") or ""
    return mode == "remap" or bool(engine.userns_remap and mode != "host")


def write_record(directory: Path, record: Record) -> None:
    """The first config.json, in `directory`: that is not yet in its place, so only the disk has to be waited for, if at all."""
    path = directory / "config.json"
    with trace.step("write", path), open(path, "w") as f:
        json.dump(record, f, separators=(",", ":"))
        f.flush()
        if not record["HostConfig"].get("AutoRemove"):
            os.fsync(f.fileno())

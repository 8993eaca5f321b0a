"""``client.containers.run``: docker-py's semantics, on the engine's own shortest way where that is possible.

::

    run(image, command, …)
      ├── detach=True                 create, start, return the Container     (remove=True: AutoRemove, the engine removes it)
      ├── remove=True (or auto_…)     daemon.run: create, start, wait and remove in one go, output caught from the first byte
      └── otherwise                   create, start, wait, read the log; the container stays

docker-py follows the log from the start, but hands nothing out before the command has ended, ``stream=True`` or not. So the
output is the same whether it comes from the log afterwards (third way) or was caught (second way).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from minidock import daemon
from minidock.client import convert
from minidock.client.api.base import create_body
from minidock.client.streams import STDERR, STDOUT
from minidock.client.types import GONE, HOST_CONFIG, HostConfig, NetworkingConfig
from minidock.errors import ContainerError

if TYPE_CHECKING:
    from minidock.client.models.containers import Container, ContainerCollection
    from minidock.client.models.images import Image

# fmt: off
CREATE_KEYWORDS = frozenset({
    "command", "detach", "domainname", "entrypoint", "environment", "healthcheck", "hostname", "image", "labels",
    "mac_address", "name", "network_disabled", "platform", "stdin_open", "stop_signal", "tty", "use_config_proxy", "user",
    "working_dir",
})
# fmt: on
# `ports` and `volumes` stand for port_bindings and binds here, in docker-py's forms.
HOST_KEYWORDS = (frozenset(HOST_CONFIG) | frozenset(GONE) | {"network_mode"}) - {"binds", "port_bindings"}
READABLE_LOGS = ("json-file", "journald", None, "")


def run(
    containers: ContainerCollection,
    image: str | Image,
    command: str | list[str] | None,
    stdout: bool,
    stderr: bool,
    remove: bool,
    kwargs: dict[str, Any],
) -> Any:
    """See `ContainerCollection.run`."""
    image = image_name(image)
    stream, detach = kwargs.pop("stream", False), kwargs.pop("detach", False)
    if kwargs.get("network") and kwargs.get("network_mode"):
        raise RuntimeError('The options "network" and "network_mode" can not be used together.')
    if kwargs.get("networking_config") and not kwargs.get("network"):
        raise RuntimeError('The option "networking_config" can not be used without "network".')
    if detach and remove:
        kwargs["auto_remove"] = True
    if not detach and (remove or kwargs.get("auto_remove")):
        return _run_and_remove(containers, image, command, stdout, stderr, stream, kwargs)

    container = containers.create(image, command, detach=detach, **kwargs)
    container.start()
    if detach:
        return container
    status = container.wait()["StatusCode"]
    if status != 0:
        raise ContainerError(container, status, command, image, container.logs(stdout=False, stderr=True))
    if container.attrs["HostConfig"]["LogConfig"]["Type"] not in READABLE_LOGS:
        return None
    return container.logs(stdout=stdout, stderr=stderr, stream=stream)


def _run_and_remove(
    containers: ContainerCollection,
    image: str,
    command: str | list[str] | None,
    stdout: bool,
    stderr: bool,
    stream: bool,
    kwargs: dict[str, Any],
) -> bytes | Iterator[bytes] | None:
    """The way without a log and without a second look: `daemon.run` does it all under one lock."""
    api = containers.client.api
    arguments = create_arguments({**kwargs, "image": image, "command": command, "detach": False, "auto_remove": True})
    name, platform = arguments.pop("name", None), arguments.pop("platform", None)
    arguments.pop("use_config_proxy", None)
    if platform:
        api.check_platform(platform)
    body = create_body(api.create_container_config(**arguments))
    result = daemon.run(api.engine, body.config, body.host_config, name, body.networking)
    if result.exit_code != 0:
        errors = None if kwargs.get("auto_remove") else result.stderr
        raise ContainerError(_removed(containers, result.id, body.config), result.exit_code, command, image, errors)
    if body.host_config.get("LogConfig", {}).get("Type") not in READABLE_LOGS:
        return None
    wanted = tuple(number for number, want in ((STDOUT, stdout), (STDERR, stderr)) if want)
    if stream:
        return (data for number, data in result.frames if number in wanted)
    return b"".join(data for number, data in result.frames if number in wanted)


def _removed(containers: ContainerCollection, id: str, body: Mapping[str, object]) -> Container:
    """The model of a container that is gone: what was asked for is all that is left to see."""
    attrs = {"Id": id, "Config": body, "Image": None, "State": {"Status": "removing"}}
    return containers.prepare_model(attrs)


def image_name(image: str | Image) -> str:
    """The name or id of an image given as either."""
    return image if isinstance(image, str) else image.id


def create_arguments(kwargs: dict[str, Any]) -> dict[str, Any]:
    """`run`'s keywords as the arguments of `APIClient.create_container`. Raises TypeError for an unknown one."""
    arguments = {name: kwargs.pop(name) for name in list(kwargs) if name in CREATE_KEYWORDS}
    host = {name: kwargs.pop(name) for name in list(kwargs) if name in HOST_KEYWORDS}
    ports, volumes = kwargs.pop("ports", None), kwargs.pop("volumes", None)
    network, networking = kwargs.pop("network", None), kwargs.pop("networking_config", None)
    if kwargs:
        raise _unexpected(sorted(kwargs))
    if ports:
        host["port_bindings"] = ports
    if volumes:
        host["binds"] = volumes
        arguments["volumes"] = (
            [v.get("bind") if isinstance(v, dict) else v for v in volumes.values()]
            if isinstance(volumes, dict)
            else [convert.bind_target(bind) for bind in volumes]
        )
    if network:
        host["network_mode"] = network
        if networking and network in networking:
            arguments["networking_config"] = NetworkingConfig(networking)
    arguments["host_config"] = HostConfig(**host)
    if bindings := arguments["host_config"].get("PortBindings"):
        arguments["ports"] = [tuple(port.split("/", 1)) for port in sorted(bindings)]
    return arguments


def _unexpected(names: list[str]) -> TypeError:
    """Python's own words, with docker-py's plural."""
    what = "an unexpected keyword argument" if len(names) == 1 else "unexpected keyword arguments"
    return TypeError(f"run() got {what} {', '.join(repr(name) for name in names)}")

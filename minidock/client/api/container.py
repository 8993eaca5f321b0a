"""The containers' part of `APIClient`, in the order of a container's life.

Each method takes docker-py's arguments, asks the verb of the same name in `minidock.daemon`, and returns what the Engine API
would have answered. The verbs, and the classes of docker-py's argument forms, are imported where they are used: a program loads
only those it needs.
"""

# ruff: noqa: ARG002 — docker-py's signatures, with arguments that mean nothing without HTTP, swarm or old API versions

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Unpack, cast

from minidock import daemon
from minidock.client import convert, streams
from minidock.client.api.base import API_VERSION, ApiBase, Resource, as_json, create_body, resource_id
from minidock.client.streams import CancellableStream
from minidock.errors import DeprecatedMethod, InvalidArgument, NotModified, NotSupported

if TYPE_CHECKING:
    import socket
    from datetime import datetime

    from minidock.client.options import HostOptions
    from minidock.client.types import ContainerConfig, EndpointConfig, HostConfig, NetworkingConfig
    from minidock.daemon.request import wire

STOP_TIMEOUT = 10


class ContainerApi(ApiBase):
    """docker-py's ``ContainerApiMixin``, over the engine in this process."""

    # --- making one

    def create_container(
        self,
        image: str,
        command: str | list[str] | None = None,
        hostname: str | None = None,
        user: str | int | None = None,
        detach: bool = False,
        stdin_open: bool = False,
        tty: bool = False,
        ports: Any = None,
        environment: Any = None,
        volumes: Any = None,
        network_disabled: bool = False,
        name: str | None = None,
        entrypoint: str | list[str] | None = None,
        working_dir: str | None = None,
        domainname: str | None = None,
        host_config: Mapping[str, Any] | None = None,
        mac_address: str | None = None,
        labels: Any = None,
        stop_signal: str | None = None,
        networking_config: Mapping[str, Any] | None = None,
        healthcheck: Mapping[str, Any] | None = None,
        stop_timeout: int | None = None,
        runtime: str | None = None,
        use_config_proxy: bool = True,
        platform: str | None = None,
    ) -> wire.CreateResponse:
        """Make a container, not started: ``{"Id": …, "Warnings": […]}``.

        The arguments are docker-py's; `host_config` comes from `create_host_config`. `use_config_proxy` has no effect: proxy
        settings live in ~/.docker/config.json, which belongs to Docker.
        """
        config = self.create_container_config(
            image, command, hostname, user, detach, stdin_open, tty, ports, environment, volumes, network_disabled,
            entrypoint, working_dir, domainname, host_config, mac_address, labels, stop_signal, networking_config,
            healthcheck, stop_timeout, runtime,
        )  # fmt: skip
        return self.create_container_from_config(config, name, platform)

    def create_container_config(self, *args: Any, **kwargs: Any) -> ContainerConfig:
        """The body of ``POST /containers/create`` from `create_container`'s arguments."""
        from minidock.client.types import ContainerConfig

        return ContainerConfig(API_VERSION, *args, **kwargs)

    def create_container_from_config(
        self, config: Mapping[str, Any], name: str | None = None, platform: str | None = None
    ) -> wire.CreateResponse:
        """Make a container from an Engine API body (`config` has HostConfig and NetworkingConfig in it), by that `name`.

        `platform`: see `check_platform`.
        """
        body = create_body(config)
        if platform:
            self.check_platform(platform)
        return daemon.create(self.engine, body.config, body.host_config, name, body.networking)

    def check_platform(self, platform: str) -> None:
        """Raises NotSupported unless `platform` ("linux", "linux/amd64", …) is this machine's."""
        running = daemon.version(self.engine)
        system, _, machine = platform.partition("/")
        if system != running["Os"] or machine.partition("/")[0] not in ("", running["Arch"]):
            raise NotSupported(f"platform {platform}: this engine runs {running['Os']}/{running['Arch']} only")

    def create_host_config(self, **kwargs: Unpack[HostOptions]) -> HostConfig:
        """The HostConfig from docker-py's keywords: see `minidock.client.options.HostOptions` for all of them.

        Raises TypeError for another keyword.
        """
        from minidock.client.types import HostConfig

        if "version" in kwargs:
            raise TypeError("create_host_config() got an unexpected keyword argument 'version'")
        return HostConfig(API_VERSION, **kwargs)

    def create_networking_config(self, *args: Any, **kwargs: Any) -> NetworkingConfig:
        """Network name → endpoint config."""
        from minidock.client.types import NetworkingConfig

        return NetworkingConfig(*args, **kwargs)

    def create_endpoint_config(self, *args: Any, **kwargs: Any) -> EndpointConfig:
        """How a container sits in one network."""
        from minidock.client.types import EndpointConfig

        return EndpointConfig(API_VERSION, *args, **kwargs)

    # --- its life

    def start(self, container: Resource, *args: Any, **kwargs: Any) -> None:
        """Start `container`; nothing happens if it runs. Raises StartError and its children when the command cannot be started,
        DeprecatedMethod for any other argument."""
        if args or kwargs:
            raise DeprecatedMethod(
                "Providing configuration in the start() method is no longer supported. "
                "Use the host_config param in create_container instead."
            )
        with suppress(NotModified):
            daemon.start(self.engine, resource_id(container))

    def stop(self, container: Resource, timeout: int | None = None) -> None:
        """Its stop signal, then SIGKILL after `timeout` seconds (default: the container's StopTimeout, else 10)."""
        with suppress(NotModified):
            daemon.stop(self.engine, resource_id(container), timeout)

    def restart(self, container: Resource, timeout: int | None = STOP_TIMEOUT) -> None:
        """Stop `container` (if it runs; `timeout` as in `stop`), then start it."""
        daemon.restart(self.engine, resource_id(container), timeout)

    def kill(self, container: Resource, signal: str | int | None = None) -> None:
        """Send a signal (a name or a number; default SIGKILL) to the container's first process."""
        daemon.kill(self.engine, resource_id(container), "SIGKILL" if signal is None else str(signal))

    def pause(self, container: Resource) -> None:
        """Freeze all processes of `container`."""
        daemon.pause(self.engine, resource_id(container))

    def unpause(self, container: Resource) -> None:
        """Let the processes of `container` go on."""
        daemon.unpause(self.engine, resource_id(container))

    def wait(self, container: Resource, timeout: float | None = None, condition: str | None = None) -> dict[str, Any]:
        """Block until `condition` (not-running, next-exit, removed): ``{"StatusCode": …}``. TimeoutError after `timeout` s."""
        return daemon.wait(self.engine, resource_id(container), condition or "not-running", timeout)

    def remove_container(self, container: Resource, v: bool = False, link: bool = False, force: bool = False) -> None:
        """Remove `container`; `force` kills it first, `v` takes its anonymous volumes along. Raises NotSupported for `link`."""
        if link:
            raise NotSupported("link=True: removing a link between containers is not supported")
        daemon.rm(self.engine, resource_id(container), force=force, volumes=v)

    def rename(self, container: Resource, name: str) -> None:
        """Give `container` another name."""
        daemon.rename(self.engine, resource_id(container), name)

    def update_container(
        self,
        container: Resource,
        blkio_weight: int | None = None,
        cpu_period: int | None = None,
        cpu_quota: int | None = None,
        cpu_shares: int | None = None,
        cpuset_cpus: str | None = None,
        cpuset_mems: str | None = None,
        mem_limit: int | str | None = None,
        mem_reservation: int | str | None = None,
        memswap_limit: int | str | None = None,
        kernel_memory: int | str | None = None,
        restart_policy: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> wire.UpdateResponse:
        """Change limits of a container, at once if it runs: ``{"Warnings": […]}``. What is not given, or 0, stays.

        Names and units as in `create_host_config`; `more` is what docker-py has no keyword for, see `minidock.client.updates`.
        Raises InvalidParameter, Conflict, or SystemFault when the kernel refuses; then nothing has changed.
        """
        from minidock.client import updates

        given = {
            "blkio_weight": blkio_weight, "cpu_period": cpu_period, "cpu_quota": cpu_quota, "cpu_shares": cpu_shares,
            "cpuset_cpus": cpuset_cpus, "cpuset_mems": cpuset_mems, "mem_limit": mem_limit,
            "mem_reservation": mem_reservation, "memswap_limit": memswap_limit, "kernel_memory": kernel_memory,
            "restart_policy": restart_policy, **more,
        }  # fmt: skip
        return self.update_container_from_config(container, updates.body(given))

    def update_container_from_config(self, container: Resource, changes: Mapping[str, Any]) -> wire.UpdateResponse:
        """`update_container` with the Engine API's own names: `changes` is the body of ``POST /containers/{id}/update``."""
        return daemon.update(self.engine, resource_id(container), cast("wire.UpdateConfig", as_json(changes)))

    # --- looking at it

    def containers(
        self,
        quiet: bool = False,
        all: bool = False,
        trunc: bool = False,
        latest: bool = False,
        since: str | None = None,
        before: str | None = None,
        limit: int = -1,
        size: bool = False,
        filters: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """``docker ps``: the running ones, or `all`; `filters` as docker's, a value or a list of them for each name."""
        wanted = convert.filters(filters) or {}
        for key, value in (("since", since), ("before", before)):
            if value:
                wanted[key] = [value]
        limit = 1 if latest else limit
        if quiet:
            return daemon.ids(self.engine, all=all, limit=limit, filters=wanted or None)
        found = daemon.ps(self.engine, all=all, limit=limit, size=size, filters=wanted or None)
        if trunc:
            for container in found:
                container["Id"] = container["Id"][:12]
        return found

    def inspect_container(self, container: Resource) -> dict[str, Any]:
        """All that is known of it, in the shape of ``docker inspect``."""
        return daemon.inspect(self.engine, resource_id(container))

    def top(self, container: Resource, ps_args: str | None = None) -> dict[str, Any]:
        """Its processes as the host's ps(1) sees them: ``{"Titles": […], "Processes": [[…]]}``."""
        return daemon.top(self.engine, resource_id(container), ps_args or "-ef")

    def stats(self, container: Resource, decode: bool | None = None, stream: bool = True, one_shot: bool | None = None) -> Any:
        """What it uses of the machine, in the Engine API's shape: see `minidock.daemon.containers.stats`.

        An iterator with one sample a second, as JSON lines (bytes) or with `decode` as dicts; with ``stream=False`` one dict:
        after a window of 0.1 s, or with `one_shot` at once and without the CPU figures to compare with.
        """
        if stream and one_shot:
            raise InvalidArgument("one_shot is only available in conjunction with stream=False")
        if decode and not stream:
            raise InvalidArgument("decode is only available in conjunction with stream=True")
        samples = daemon.stats(self.engine, resource_id(container), stream=stream, one_shot=bool(one_shot))
        if not stream:
            return next(samples)
        return samples if decode else (json.dumps(sample).encode() + b"\n" for sample in samples)

    def port(self, container: Resource, private_port: int | str) -> list[dict[str, str]] | None:
        """Where a port of the container is published on the host; None if it is not."""
        ports = self.inspect_container(container).get("NetworkSettings", {}).get("Ports")
        if ports is None or "/" in str(private_port):
            return None if ports is None else ports.get(str(private_port))
        return next((found for p in ("tcp", "udp", "sctp") if (found := ports.get(f"{private_port}/{p}"))), None)

    def logs(
        self,
        container: Resource,
        stdout: bool = True,
        stderr: bool = True,
        stream: bool = False,
        timestamps: bool = False,
        tail: int | str = "all",
        since: datetime | int | float | None = None,
        follow: bool | None = None,
        until: datetime | int | float | None = None,
    ) -> bytes | CancellableStream:
        """What it wrote: bytes, or with `stream` an iterator of them, which goes on while the container runs if `follow`
        (default: the same as `stream`). `since` and `until` are datetimes or seconds since the epoch."""
        if tail != "all" and (not isinstance(tail, int) or tail < 0):
            tail = "all"
        start, end = convert.timestamp("since", since), convert.timestamp("until", until)
        switch = streams.StopSwitch()
        pairs = daemon.logs(
            self.engine,
            resource_id(container),
            stdout=stdout,
            stderr=stderr,
            since=start,
            until=end,
            timestamps=timestamps,
            tail=tail,
            follow=stream if follow is None else follow,
            stop=switch if stream else None,
        )
        if stream:
            return CancellableStream.over_entries(pairs, switch)
        return b"".join(data for _, data in pairs)

    # --- talking to it

    def attach(
        self,
        container: Resource,
        stdout: bool = True,
        stderr: bool = True,
        stream: bool = False,
        logs: bool = False,
        demux: bool = False,
    ) -> Any:
        """Its output from now on as an iterator (`stream`), after what it wrote before (`logs`); without `stream`, only that.

        With `demux` the items are (stdout, stderr) tuples, one of them None.
        """
        ref = resource_id(container)
        if stream:
            tty = bool(self.inspect_container(ref)["Config"].get("Tty"))
            sock = daemon.attach(self.engine, ref, stdin=False, stdout=stdout, stderr=stderr, logs=logs)
            return CancellableStream.over_socket(sock, tty, demux)
        before = daemon.logs(self.engine, ref, stdout=stdout, stderr=stderr) if logs else iter(())
        return streams.collect(before, demux)

    def attach_socket(self, container: Resource, params: Mapping[str, Any] | None = None, ws: bool = False) -> socket.SocketIO:
        """The raw hijacked stream, a file whose ``_sock`` is the socket. `params`: stdin, stdout, stderr,
        stream (what comes from now on), logs (what came before), detachKeys."""
        if ws:
            raise NotSupported("attach over a websocket is not supported by the engine in this process")
        wanted = {"stdout": 1, "stderr": 1, "stream": 1} if params is None else params
        sock = daemon.attach(
            self.engine,
            resource_id(container),
            stdin=bool(wanted.get("stdin")),
            stdout=bool(wanted.get("stdout")),
            stderr=bool(wanted.get("stderr")),
            logs=bool(wanted.get("logs")),
            stream=bool(wanted.get("stream")),
            detach_keys=str(wanted.get("detachKeys") or ""),
        )
        return streams.raw_socket(sock)

    def resize(self, container: Resource, height: int, width: int) -> None:
        """Set the size of its terminal, in characters."""
        daemon.resize(self.engine, resource_id(container), height, width)

    def export(self, container: Resource, chunk_size: int | None = None) -> Iterator[bytes]:
        """Its root file system as a tar stream, in chunks of at most `chunk_size` bytes (None: as they come)."""
        if chunk_size is not None and chunk_size <= 0:
            raise InvalidArgument(f"chunk_size must be positive, not {chunk_size}")
        return _rechunked(daemon.export(self.engine, resource_id(container)), chunk_size)

    def prune_containers(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Remove all that are stopped: ``{"ContainersDeleted": […], "SpaceReclaimed": bytes}``. Filters: label, until."""
        return daemon.prune_containers(self.engine, convert.filters(filters))


def _rechunked(chunks: Iterator[bytes], size: int | None) -> Iterator[bytes]:
    for chunk in chunks:
        yield from (chunk[i : i + size] for i in range(0, len(chunk), size)) if size else (chunk,)

"""Containers and their collection, in docker-py's shape. What `run` does is in `minidock.client.models.run`."""

from __future__ import annotations

import socket as sockets
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Unpack, overload

from minidock.client.models.resource import Collection, Model
from minidock.client.notyet import NotYet
from minidock.errors import MinidockError, NotFound

if TYPE_CHECKING:
    from minidock.client.models.images import Image
    from minidock.client.options import CreateOptions, RunOptions
    from minidock.daemon.request.wire import UpdateResponse


class ExecResult(NamedTuple):
    """What `Container.exec_run` gives: exit_code (None with stream or socket) and output."""

    exit_code: int | None
    output: Any


class Container(Model, NotYet):
    """One container. `attrs` is its inspect as it was; `reload` asks again."""

    NOT_YET: ClassVar[Mapping[str, str]] = {
        "commit": "containers cannot be made into images yet; export and import can",
        "diff": "a container's changes cannot be listed yet",
        "get_archive": "files cannot be copied out yet; export the container, or exec tar",
        "put_archive": "files cannot be copied in yet; bind a host directory",
    }

    @property
    def name(self) -> str | None:
        """Its name, without docker's leading slash."""
        name = self.attrs.get("Name")
        return None if name is None else name.lstrip("/")

    @property
    def image(self) -> Image | None:
        """The image it was made from."""
        image_id = self.attrs.get("ImageID", self.attrs["Image"])
        return None if image_id is None else self.client.images.get(image_id.rpartition(":")[2])

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        if "Config" not in self.attrs:
            raise MinidockError(
                "Label data is not available for sparse objects. Call reload() to retrieve all information"
            )  # fmt: skip
        return self.attrs["Config"].get("Labels") or {}

    @property
    def status(self) -> str:
        """created, running, paused, restarting, exited or dead, as `attrs` has it."""
        state = self.attrs["State"]
        return state["Status"] if isinstance(state, dict) else state  # type: ignore[no-any-return]

    @property
    def health(self) -> str:
        """The health check's verdict; "unknown" without one."""
        return self.attrs.get("State", {}).get("Health", {}).get("Status", "unknown")  # type: ignore[no-any-return]

    @property
    def ports(self) -> dict[str, Any]:
        """Container port → where it is published."""
        return self.attrs.get("NetworkSettings", {}).get("Ports", {})  # type: ignore[no-any-return]

    # Each of these is the low-level call of the same name on this container; see APIClient for the arguments.

    def attach(self, **kwargs: Any) -> Any:
        """`APIClient.attach`."""
        return self.client.api.attach(self.id, **kwargs)

    def attach_socket(self, **kwargs: Any) -> sockets.SocketIO:
        """`APIClient.attach_socket`."""
        return self.client.api.attach_socket(self.id, **kwargs)

    def exec_run(
        self,
        cmd: str | list[str],
        stdout: bool = True,
        stderr: bool = True,
        stdin: bool = False,
        tty: bool = False,
        privileged: bool = False,
        user: str = "",
        detach: bool = False,
        stream: bool = False,
        socket: bool = False,
        environment: Any = None,
        workdir: str | None = None,
        demux: bool = False,
    ) -> ExecResult:
        """Run one more command in it. The output is bytes; with `demux` a (stdout, stderr) tuple; with `stream` an iterator of
        either; with `socket` the raw stream."""
        api = self.client.api
        exec_id = api.exec_create(
            self.id,
            cmd,
            stdout=stdout,
            stderr=stderr,
            stdin=stdin,
            tty=tty,
            privileged=privileged,
            user=user,
            environment=environment,
            workdir=workdir,
        )["Id"]
        output = api.exec_start(exec_id, detach=detach, tty=tty, stream=stream, socket=socket, demux=demux)
        if socket or stream:
            return ExecResult(None, output)
        return ExecResult(api.exec_inspect(exec_id)["ExitCode"], output)

    def export(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """`APIClient.export`."""
        return self.client.api.export(self.id, chunk_size)

    def kill(self, signal: str | int | None = None) -> None:
        """`APIClient.kill`: send it a `signal`."""
        self.client.api.kill(self.id, signal=signal)

    def logs(self, **kwargs: Any) -> Any:
        """`APIClient.logs`."""
        return self.client.api.logs(self.id, **kwargs)

    def pause(self) -> None:
        """`APIClient.pause`."""
        self.client.api.pause(self.id)

    def remove(self, **kwargs: Any) -> None:
        """`APIClient.remove_container`."""
        self.client.api.remove_container(self.id, **kwargs)

    def rename(self, name: str) -> None:
        """`APIClient.rename`: give it another `name`."""
        self.client.api.rename(self.id, name)

    def resize(self, height: int, width: int) -> None:
        """`APIClient.resize`: `height` and `width` of its terminal, in characters."""
        self.client.api.resize(self.id, height, width)

    def restart(self, **kwargs: Any) -> None:
        """`APIClient.restart`."""
        self.client.api.restart(self.id, **kwargs)

    def start(self, **kwargs: Any) -> None:
        """`APIClient.start`."""
        self.client.api.start(self.id, **kwargs)

    def stats(self, **kwargs: Any) -> Any:
        """`APIClient.stats`."""
        return self.client.api.stats(self.id, **kwargs)

    def stop(self, **kwargs: Any) -> None:
        """`APIClient.stop`."""
        self.client.api.stop(self.id, **kwargs)

    def top(self, **kwargs: Any) -> dict[str, Any]:
        """`APIClient.top`."""
        return self.client.api.top(self.id, **kwargs)

    def unpause(self) -> None:
        """`APIClient.unpause`."""
        self.client.api.unpause(self.id)

    def update(self, **kwargs: Any) -> UpdateResponse:
        """`APIClient.update_container`."""
        return self.client.api.update_container(self.id, **kwargs)

    def wait(self, **kwargs: Any) -> dict[str, Any]:
        """`APIClient.wait`."""
        return self.client.api.wait(self.id, **kwargs)


class ContainerCollection(Collection[Container]):
    """``client.containers``."""

    model = Container

    @overload
    def run(
        self,
        image: str | Image,
        command: str | list[str] | None = None,
        stdout: bool = True,
        stderr: bool = False,
        remove: bool = False,
        *,
        detach: Literal[True],
        stream: bool = False,
        **kwargs: Unpack[RunOptions],
    ) -> Container: ...
    @overload
    def run(
        self,
        image: str | Image,
        command: str | list[str] | None = None,
        stdout: bool = True,
        stderr: bool = False,
        remove: bool = False,
        *,
        detach: Literal[False] = False,
        stream: Literal[True],
        **kwargs: Unpack[RunOptions],
    ) -> Iterator[bytes]: ...
    @overload
    def run(
        self,
        image: str | Image,
        command: str | list[str] | None = None,
        stdout: bool = True,
        stderr: bool = False,
        remove: bool = False,
        *,
        detach: bool = False,
        stream: bool = False,
        **kwargs: Unpack[RunOptions],
    ) -> Any: ...
    def run(
        self,
        image: str | Image,
        command: str | list[str] | None = None,
        stdout: bool = True,
        stderr: bool = False,
        remove: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Run a command in a new container, as ``docker run`` does.

        Returns what it wrote (bytes: its `stdout`, its `stderr`, or both), with ``stream=True`` as an iterator, or with
        ``detach=True`` the running `Container`. `remove` removes it afterwards. The other keywords are `create`'s.

        Raises ContainerError when the command ends with a non-zero status, ImageNotFound, StartError and its children
        (CommandNotFound, …) when there is no such command, TypeError for an unknown keyword.
        """
        from minidock.client.models import run

        return run.run(self, image, command, stdout, stderr, remove, kwargs)

    def create(self, image: str | Image, command: str | list[str] | None = None, **kwargs: Unpack[CreateOptions]) -> Container:
        """Make a container without starting it. Takes `run`'s keywords: those of `APIClient.create_container` and of
        `create_host_config` together, with ``ports``, ``volumes`` and ``network`` in docker-py's forms."""
        from minidock.client.models import run

        config = run.create_arguments({**kwargs, "image": run.image_name(image), "command": command})
        return self.get(self.client.api.create_container(**config)["Id"])

    def get(self, container_id: str) -> Container:
        """The container with this name or id, `container_id`. Raises ContainerNotFound."""
        return self.prepare_model(self.client.api.inspect_container(container_id))

    def list(
        self,
        all: bool = False,
        before: str | None = None,
        filters: Mapping[str, Any] | None = None,
        limit: int = -1,
        since: str | None = None,
        sparse: bool = False,
        ignore_removed: bool = False,
    ) -> list[Container]:
        """The running containers, or `all`; `sparse` ones have the list's attrs only. `ignore_removed`: one that was removed
        meanwhile is left out instead of being an error."""
        found = self.client.api.containers(all=all, before=before, filters=filters, limit=limit, since=since)
        if sparse:
            return [self.prepare_model(summary) for summary in found]
        containers = []
        for summary in found:
            try:
                containers.append(self.get(summary["Id"]))
            except NotFound:
                if not ignore_removed:
                    raise
        return containers

    def prune(self, filters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Remove all that are stopped; `filters`: until, label."""
        return self.client.api.prune_containers(filters=filters)

"""The exec part of `APIClient`: one more process in a running container, made, started and asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from minidock import daemon
from minidock.client import convert, streams
from minidock.client.api.base import ApiBase, Resource, as_json, resource_id
from minidock.client.streams import CancellableStream

if TYPE_CHECKING:
    from minidock.daemon.request.wire import ExecConfig, IdResponse


class ExecApi(ApiBase):
    """docker-py's ``ExecApiMixin``, over the engine in this process."""

    def exec_create(
        self,
        container: Resource,
        cmd: str | list[str],
        stdout: bool = True,
        stderr: bool = True,
        stdin: bool = False,
        tty: bool = False,
        privileged: bool = False,
        user: str = "",
        environment: Any = None,
        workdir: str | None = None,
        detach_keys: str | None = None,
    ) -> IdResponse:
        """Prepare a command to run in the container: ``{"Id": …}`` for `exec_start`."""
        config = {
            "User": user,
            "Privileged": privileged,
            "Tty": tty,
            "AttachStdin": stdin,
            "AttachStdout": stdout,
            "AttachStderr": stderr,
            "Cmd": convert.command_list(cmd),
            "Env": convert.environment_list(environment),
            "WorkingDir": workdir,
            "DetachKeys": detach_keys or None,
        }
        return daemon.exec_create(self.engine, resource_id(container), cast("ExecConfig", as_json(config)))

    def exec_start(
        self,
        exec_id: Resource,
        detach: bool = False,
        tty: bool = False,
        stream: bool = False,
        socket: bool = False,
        demux: bool = False,
    ) -> Any:
        """Run it. Returns its output as bytes; with `demux` a (stdout, stderr) tuple; with `stream` an iterator of either; with
        `socket` the raw hijacked stream (see `attach_socket`); with `detach` "" at once."""
        sock = daemon.exec_start(self.engine, resource_id(exec_id), detach=detach, tty=tty)
        if detach or sock is None:
            return ""
        if socket:
            return streams.raw_socket(sock)
        if stream:
            return CancellableStream.over_socket(sock, tty, demux)
        output = streams.collect(streams.frames(sock, tty), demux)
        # The output ends a moment before the exit is on record; who asks for the exit code next shall find it.
        daemon.exec_wait(self.engine, resource_id(exec_id))
        return output

    def exec_inspect(self, exec_id: Resource) -> dict[str, Any]:
        """How it stands: Running, ExitCode (None while it runs), Pid, ProcessConfig, …"""
        return daemon.exec_inspect(self.engine, resource_id(exec_id))

    def exec_resize(self, exec_id: Resource, height: int | None = None, width: int | None = None) -> None:
        """Set the size of its terminal, in characters."""
        daemon.exec_resize(self.engine, resource_id(exec_id), height or 0, width or 0)

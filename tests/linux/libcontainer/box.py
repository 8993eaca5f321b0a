"""A container of busybox for tests of the core: no engine, no shim, only `create` and what comes of it."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minidock.libcontainer import capabilities, cgroups, sync
from minidock.libcontainer.config import Capabilities, Cgroup, Config, ExecConfig, Mount, Namespaces, Process, RootMount
from minidock.libcontainer.container import InitProcess, Stdio, create
from minidock.libcontainer.exec import create_exec
from minidock.linux import process
from tests import leaks

DEFAULT = Capabilities(capabilities.DEFAULT, capabilities.DEFAULT, capabilities.DEFAULT)
MOUNTS = (
    Mount("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    Mount("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    Mount("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    Mount("/sys/fs/cgroup", "cgroup", "cgroup", ("nosuid", "noexec", "nodev", "ro")),
    Mount("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    Mount("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=67108864")),
)
MASKED = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware", "/proc/not-there")
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_APPLETS = (
    "sh",
    "true",
    "cat",
    "ls",
    "id",
    "sleep",
    "stat",
    "touch",
    "hostname",
    "ps",
    "kill",
    "mount",
    "readlink",
    "pwd",
    "echo",
)


def execute(container: InitProcess) -> None:
    """Let it become its command; returns when that has happened, as the shim sees it."""
    container.tell(sync.GO)
    container.sync.executed()


class Box:
    """An image directory, one writable layer, and ways to run things on them."""

    def __init__(self, top: Path) -> None:
        self.image, self.upper, self.work = top / "image", top / "upper", top / "work"
        for directory in (self.image / "bin", self.image / "etc", self.upper, self.work):
            directory.mkdir(parents=True)
        shutil.copy("/bin/busybox", self.image / "bin/busybox")
        for applet in _APPLETS:
            os.symlink("busybox", self.image / "bin" / applet)
        (self.image / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n")
        (self.image / "etc/group").write_text("root:x:0:\nann:x:1001:\nwheel:x:10:root,ann\n")
        self.parent = f"/{leaks.label()}-{uuid.uuid4().hex[:8]}"

    def config(self, *args: str, **changes: Any) -> Config:
        """The config of a container that runs `args`; `changes` are fields of Config or of Process."""
        own = {k: changes.pop(k) for k in list(changes) if k in Process._fields}
        basic = Config(
            id=uuid.uuid4().hex * 2,
            root=RootMount("overlay", (str(self.image),), str(self.upper), str(self.work)),
            process=Process(args, ("PATH=/bin",), capabilities=DEFAULT).replace(**own),
            hostname="box",
            mounts=MOUNTS,
            masked_paths=MASKED,
            readonly_paths=READONLY,
            cgroup=Cgroup(f"{self.parent}/{uuid.uuid4().hex}"),
        )
        return basic.replace(**changes)

    def bind(self) -> RootMount:
        """A root for a second container beside the first: two overlays must not share one upper directory."""
        return RootMount("bind", source=str(self.image))

    def sh(self, script: str, **changes: Any) -> str:
        """What a shell script prints in a container, stdout and stderr together; its status must be 0."""
        code, output = self.run(self.config("sh", "-c", script, **changes))
        assert code == 0, (code, output)
        return output

    def run(self, config: Config) -> tuple[int, str]:
        """(status, output) of a whole run."""
        with self.started(config, output=True) as (container, output):
            text = _drain(output)
            code = container.wait()
        assert code is not None
        return code, text

    @contextmanager
    def started(self, config: Config, *, output: bool = False) -> Iterator[tuple[InitProcess, int]]:
        """A running container, and the reading end of its output; destroyed at the end."""
        with _streams() as (stdio, reader, close_ours):
            container = create(config, stdio)
            try:
                container.ready()
                execute(container)
                close_ours()
                yield container, reader
            finally:
                container.destroy()

    def exec(self, config: Config, container: InitProcess, *args: str, **process_fields: Any) -> tuple[int, str]:
        """(status, output) of one more process in a running container."""
        what = Process(args, ("PATH=/bin",), capabilities=DEFAULT).replace(**process_fields)
        start = process.start_time(container.pid)
        user = config.namespaces.user != "host"
        request = ExecConfig(config.id, container.pid, start, what, config.cgroup.path if config.cgroup else "", user)
        return self.exec_config(request)

    def exec_config(self, request: ExecConfig) -> tuple[int, str]:
        """The same for a ready ExecConfig."""
        with _streams() as (stdio, reader, close_ours):
            child = create_exec(request, stdio)
            try:
                child.ready()
                execute(child)
                close_ours()
                text = _drain(reader)
                code = child.wait()
            finally:
                child.destroy()
        assert code is not None
        return code, text

    def close(self) -> None:
        """Take the test's cgroup parents away."""
        cgroups.manager(self.parent).remove()


@contextmanager
def _streams() -> Iterator[tuple[Stdio, int, Any]]:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    open_fds = {writer, null}

    def close_ours() -> None:
        while open_fds:
            os.close(open_fds.pop())

    try:
        yield Stdio(null, writer, writer), reader, close_ours
    finally:
        close_ours()
        os.close(reader)


def _drain(fd: int) -> str:
    data = b""
    while part := os.read(fd, 65536):
        data += part
    return data.decode()


def namespaces_of(pid: int | str) -> dict[str, str]:
    """kind → identity, as /proc/PID/ns says."""
    return {
        kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("pid", "net", "ipc", "uts", "mnt", "user", "cgroup", "time")
    }


__all__ = ["DEFAULT", "MOUNTS", "Box", "Namespaces", "namespaces_of"]

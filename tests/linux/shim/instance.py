"""A throw-away instance for tests of zygote, shim and driver: its own run dir, cgroup parent, zygote and busybox root."""

from __future__ import annotations

import json
import os
import secrets
import select
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from minidock.execdriver.native import Native, Process
from minidock.libcontainer import cgroups, config
from minidock.shim import protocol
from minidock.shim.protocol import LogConfig, ShimConfig
from tests import leaks

BUSYBOX = "/bin/busybox"
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID", "SYS_CHROOT", "MKNOD")
MOUNTS = (
    config.Mount("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    config.Mount("/dev", "tmpfs", "tmpfs", ("nosuid", "mode=755", "size=65536k")),
    config.Mount("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
)
DEVICES = tuple(
    config.Device(f"/dev/{name}", "c", 1, minor) for name, minor in (("null", 3), ("zero", 5), ("full", 7), ("urandom", 9))
)


class Instance:
    """`folder` holds everything. Use `close` at the end: it stops the zygote and checks nothing away by force."""

    def __init__(self, folder: Path) -> None:
        self.name = leaks.claim(f"minidock-{secrets.token_hex(4)}")
        self.folder = folder
        self.run_dir = folder / "run"
        self.driver = Native(self.run_dir, self.name)
        self.rootfs = folder / "rootfs"
        _make_rootfs(self.rootfs)

    def close(self) -> None:
        self.driver.stop_zygote()
        wait_until_gone(self.shims())
        cgroups.manager(f"/{self.name}/shims").remove()
        cgroups.manager(f"/{self.name}").remove()

    def shims(self) -> list[int]:
        """The zygote, the keeper and all shims: everything in the shims' cgroup."""
        return cgroups.manager(f"/{self.name}/shims").pids()

    def container(self, *args: str, **options: Any) -> Container:
        """A container that is not started yet. Options are those of `Container`."""
        return Container(self, args, **options)


class Container:
    """The config and folders of one container."""

    def __init__(
        self, instance: Instance, args: tuple[str, ...], *, tty: bool = False, cgroup: bool = True, **options: Any
    ) -> None:
        self.instance = instance
        self.id = secrets.token_hex(32)
        self.folder = instance.folder / "containers" / self.id
        self.folder.mkdir(parents=True)
        self.log = self.folder / "log"
        pick = {key: options.pop(key) for key in ("namespaces", "init", "settings") if key in options}
        process = config.Process(
            args=args,
            env=("PATH=/bin", "TERM=xterm"),
            tty=tty,
            rows=24 if tty else 0,
            cols=80 if tty else 0,
            capabilities=config.Capabilities(CAPABILITIES, CAPABILITIES, CAPABILITIES),
        )
        self.config = config.Config(
            id=self.id,
            root=config.RootMount("bind", source=str(instance.rootfs)),
            process=process,
            hostname=self.id[:12],
            namespaces=pick.get("namespaces", config.Namespaces()),
            mounts=MOUNTS,
            devices=DEVICES,
            cgroup=config.Cgroup(f"/{instance.name}/{self.id}", settings=pick.get("settings", ())) if cgroup else None,
            init=pick.get("init", False),
        )
        defaults: dict[str, Any] = {"log": LogConfig(path=str(self.log)), "durable": False}
        self.shim = ShimConfig(str(self.folder), str(instance.run_dir / self.id / "shim.sock"), **(defaults | options))

    @property
    def socket(self) -> str:
        return self.shim.socket

    def start(self, **options: Any) -> Process:
        return self.instance.driver.start(self.config, self.shim, **options)

    def run(self) -> int:
        """Start, wait, release; the exit code."""
        with self.start() as process:
            code = process.wait(30).code
            process.release()
        return code

    def exec(self, process: Process, *args: str, tty: bool = False, **options: Any) -> tuple[Process, ShimConfig]:
        """Start one more process in the running container."""
        attach = options.pop("attach", None)
        exec_id = secrets.token_hex(8)
        folder = self.instance.run_dir / self.id / "exec"
        folder.mkdir(exist_ok=True)
        command = config.Process(args=args, env=("PATH=/bin",), tty=tty, capabilities=self.config.process.capabilities)
        what = config.ExecConfig(self.id, process.started.pid, process.started.pid_start, command, self.config.cgroup.path)
        log = LogConfig("none")
        shim = ShimConfig(str(folder), str(folder / f"{exec_id}.sock"), log=log, exec_id=exec_id, durable=False, **options)
        return self.instance.driver.exec(what, shim, attach=attach), shim

    def logged(self, stream: str = "stdout") -> str:
        """All that was logged of one stream."""
        return "".join(e["log"] for e in map(json.loads, self.log.read_text().splitlines()) if e["stream"] == stream)

    def left(self) -> list[str]:
        """What of this container is still to be seen in the kernel or the run dir."""
        found = [p for p in cgroups.manager(self.config.cgroup.path).paths().values() if os.path.exists(p)]
        if os.path.exists(self.socket):
            found.append(self.socket)
        return found


def _make_rootfs(root: Path) -> None:
    for name in ("bin", "dev", "proc", "sys", "tmp", "etc"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    for applet in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\nuser:x:1000:\n")
    (root / "bin" / "not-executable").write_text("x")


def wait_until_gone(pids: list[int]) -> None:
    """Block until processes that are not our children have ended."""
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        ended = poll.poll(10_000)
        os.close(pidfd)
        assert ended, f"{pid} still runs: {Path(f'/proc/{pid}/cmdline').read_bytes()!r}"


def frames(sock: socket.socket) -> dict[int, bytes]:
    """Read an attach stream without a tty to its end: stream number → bytes."""
    data = everything(sock)
    out = {1: b"", 2: b""}
    while data:
        stream, size = protocol.unframe(data[:8])
        out[stream] += data[8 : 8 + size]
        data = data[8 + size :]
    return out


def everything(sock: socket.socket) -> bytes:
    with sock:
        sock.settimeout(20)
        return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def read_until(sock: socket.socket, wanted: bytes) -> bytes:
    """Read until `wanted` has come."""
    sock.settimeout(10)
    data = b""
    while wanted not in data:
        part = sock.recv(1 << 16)
        assert part, f"ended before {wanted!r}: {data!r}"
        data += part
    return data


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

"""One run of a virtual machine, from the host's side: start qemu, listen, wait, and leave nothing."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lab_vm import environment, qemu
from lab_vm.errors import VMError, VMTimeout
from lab_vm.initramfs import initramfs
from lab_vm.kernel import Kernel

PROJECT = Path(__file__).resolve().parent.parent
CGROUPS = ("v1", "v2")
MEMORY = 1 << 30
CPUS = 2
FRAME = struct.Struct(">cI")  # guest.py's: stream, length


@dataclass(frozen=True)
class Result:
    """How a command in a guest ended.

    `returncode` counts as subprocess does (-9: killed by SIGKILL), `stdout` and `stderr` are text with replacement
    characters where it was none, `seconds` is the whole run with the boot, `accel` says who computed: ``kvm`` or ``tcg``.
    """

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    accel: str


Listener = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Spec:
    """What is to run where; see `lab_vm.run` for the fields."""

    command: Sequence[str]
    cgroup: str
    kernel: Kernel
    accel: str
    timeout: float
    env: Mapping[str, str]
    cwd: str
    cpus: int = CPUS
    memory: int = MEMORY


def boot(spec: Spec, listener: Listener) -> int:
    """Boot, run, end. `listener` gets ("stdout" or "stderr", bytes) as they come. Returns the command's status.

    Raises VMTimeout, and VMError when qemu or the guest ended without a status: its text has the console's last lines.
    """
    deadline = time.monotonic() + spec.timeout
    settings = {"PROJECT": str(PROJECT), "ENVIRONMENT": sys.prefix, "CGROUP": spec.cgroup}
    request = {"command": list(spec.command), "cwd": spec.cwd, "env": dict(spec.env)}
    with ExitStack() as undo:
        archive = undo.enter_context(os.fdopen(os.memfd_create("initramfs"), "wb"))
        archive.write(initramfs(spec.kernel, settings, request))
        archive.flush()
        control, their_control = undo.enter_context(_pair())
        console, their_console = undo.enter_context(_pair())
        theirs = (archive.fileno(), their_control.fileno(), their_console.fileno())
        command = qemu.command(
            spec.kernel,
            accel=spec.accel,
            cpus=spec.cpus,
            memory=spec.memory,
            image=environment.image(),
            project=PROJECT,
            initramfs=theirs[0],
            control=theirs[1],
            console=theirs[2],
        )
        process = undo.enter_context(_started(command, theirs))
        their_control.close()
        their_console.close()
        return _Conversation(control, console, listener, process).until(deadline)


@contextlib.contextmanager
def _pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@contextlib.contextmanager
def _started(command: Sequence[str], fds: tuple[int, ...]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=fds,
        process_group=0,  # a Ctrl-C in the terminal is ours to handle
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


class _Conversation:
    """The guest's frames and its console, read until the status arrives, everybody hangs up or the time is up."""

    def __init__(
        self, control: socket.socket, console: socket.socket, listener: Listener, process: subprocess.Popen[bytes]
    ) -> None:
        self._listener = listener
        self._process = process
        self._frames = b""
        self._console = b""
        self._status: int | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ, self._on_frames)
        self._selector.register(console, selectors.EVENT_READ, self._on_console)

    def until(self, deadline: float) -> int:
        """The command's status."""
        with self._selector:
            while self._status is None and self._selector.get_map():
                ready = self._selector.select(deadline - time.monotonic())
                if not ready and time.monotonic() >= deadline:
                    raise VMTimeout(f"the virtual machine was not done in time{self._last_lines()}")
                for key, _events in ready:
                    data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                    if data:
                        key.data(data)
                    else:
                        self._selector.unregister(key.fileobj)
        if self._status is not None:
            return self._status
        assert self._process.stderr is not None  # asked for
        said = self._process.stderr.read().decode(errors="replace").strip()
        raise VMError(f"the virtual machine ended by itself: {said or 'qemu said nothing'}{self._last_lines()}")

    def _on_frames(self, data: bytes) -> None:
        self._frames += data
        while len(self._frames) >= FRAME.size:
            stream, length = FRAME.unpack_from(self._frames)
            if len(self._frames) < FRAME.size + length:
                break
            payload, self._frames = self._frames[FRAME.size : FRAME.size + length], self._frames[FRAME.size + length :]
            if stream == b"x":
                self._status = int(payload)
            else:
                self._listener("stdout" if stream == b"o" else "stderr", payload)

    def _on_console(self, data: bytes) -> None:
        self._console = (self._console + data)[-4096:]

    def _last_lines(self) -> str:
        lines = self._console.decode(errors="replace").split("\n")[-40:]
        return "\nconsole:\n  " + "\n  ".join(line.rstrip() for line in lines) if any(lines) else ""


__all__ = ["CGROUPS", "CPUS", "MEMORY", "PROJECT", "Listener", "Result", "Spec", "boot"]

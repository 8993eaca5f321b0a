"""Process 1 of the guest: runs the one command, tells the host what it says, and ends the machine.

Everything goes through one virtio-serial port, in frames: one byte for the stream, four for the length, then the data.
``o`` and ``e`` are what the command wrote to stdout and stderr, ``x`` its status (as `subprocess` counts: -9 was killed by
SIGKILL). The order of frames is the order of events, so a status that arrived means that all output has arrived.

The command ends the machine, whatever it left running. A host that is gone ends it too.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
from pathlib import Path

REQUEST = "/run/lab/request.json"
FRAME = struct.Struct(">cI")


def main() -> None:
    """Run what REQUEST asks for: {"command": [...], "cwd": "...", "env": {...}}."""
    request = json.loads(Path(REQUEST).read_text())
    port = os.open(_port(), os.O_RDWR)
    try:
        status = run(port, request)
    except OSError as e:  # no such command or folder: told as a shell tells it
        send(port, b"e", f"{e.filename}: {e.strerror}\n".encode())
        status = 126 if isinstance(e, PermissionError) else 127
    send(port, b"x", str(status).encode())
    signal.pause()  # the host has the status and switches us off


def _port() -> str:
    """The port's device, found by the name that the host gave it (udev would make a link of it)."""
    for folder in Path("/sys/class/virtio-ports").iterdir():
        if (folder / "name").read_text().strip() == "lab":
            return f"/dev/{folder.name}"
    raise FileNotFoundError(2, "no virtio-serial port with the name lab", "/sys/class/virtio-ports")


def run(port: int, request: dict[str, object]) -> int:
    """Start the command, hand its output on, bury every process that ends, until it is the command's turn."""
    wake, wakened = os.pipe()
    os.set_blocking(wakened, False)
    signal.set_wakeup_fd(wakened)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    command = subprocess.Popen(
        request["command"],  # type: ignore[call-overload]
        cwd=request["cwd"],
        env=request["env"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    streams = {command.stdout.fileno(): b"o", command.stderr.fileno(): b"e"}
    poll = select.poll()
    for fd in (*streams, wake):
        poll.register(fd, select.POLLIN)
    poll.register(port, 0)  # only POLLHUP: the host is gone
    status = None
    while status is None:
        for fd, events in poll.poll():
            if fd == port:
                if events & select.POLLHUP:
                    os._exit(0)  # process 1 gone: the kernel panics, and that ends the machine
            elif fd == wake:
                os.read(wake, 64)
                status = _bury(command.pid, status)
            elif not _hand_on(port, fd, streams[fd]):
                poll.unregister(fd)
    for fd, stream in streams.items():  # what is still in the pipes, which a process left behind may hold open
        os.set_blocking(fd, False)
        while _hand_on(port, fd, stream):
            pass
    return status


def _bury(command: int, status: int | None) -> int | None:
    """Reap all children that ended; orphans become ours. The command's status, when it was among them."""
    while True:
        try:
            pid, code = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if pid == 0:
            return status
        if pid == command:
            status = os.waitstatus_to_exitcode(code)


def _hand_on(port: int, fd: int, stream: bytes) -> bool:
    """Read once; False at the end, or when there is nothing more now."""
    try:
        data = os.read(fd, 65536)
    except BlockingIOError:
        return False
    if data:
        send(port, stream, data)
    return bool(data)


def send(port: int, stream: bytes, data: bytes) -> None:
    """One frame, whole."""
    rest = memoryview(FRAME.pack(stream, len(data)) + data)
    while rest:
        rest = rest[os.write(port, rest) :]


if __name__ == "__main__":
    main()

"""Starting and finding zygotes: one for each instance and version of the code, by whichever engine needs it first.

::

    RUN/  zygote.lock              held by the engine that starts one
          zygote-<version>.sock    listening; gone or refusing means there is none
          zygote.log               standard error of the zygote and its shims
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from minidock import errors
from minidock.linux import trace
from minidock.linux.files import flock
from minidock.shim import protocol

_ROOT = str(Path(__file__).resolve().parents[2])
_READY = 3
_MAIN = "from minidock.shim.zygote import main"
_BOOT = f"import sys; sys.path.append(sys.argv.pop(1)); {_MAIN}; main(sys.argv[1:])"
_ABSENT = (errno.ENOENT, errno.ECONNREFUSED)


def connect(run_dir: Path, instance: str, version: str, python: str) -> socket.socket:
    """A connection to the zygote of this instance and version, which is started if there is none. Raises SystemFault."""
    path = run_dir / f"zygote-{version}.sock"
    try:
        return _connect(path)
    except OSError as e:
        if e.errno not in _ABSENT:
            raise errors.SystemFault.from_oserror("connect to the zygote", e) from e
    os.makedirs(run_dir, 0o700, exist_ok=True)
    with flock(run_dir / "zygote.lock"):
        with suppress(OSError):
            return _connect(path)  # somebody else was faster
        _spawn(run_dir, instance, version, python, path)
        try:
            return _connect(path)
        except OSError as e:
            raise errors.SystemFault.from_oserror("connect to the zygote", e) from e


def _connect(path: Path) -> socket.socket:
    with ExitStack() as undo:
        sock = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with protocol.address(str(path)) as address:
            sock.connect(address)
        undo.pop_all()
        return sock


def _spawn(run_dir: Path, instance: str, version: str, python: str, path: Path) -> None:
    """Start a zygote and wait for its ready byte. Raises SystemFault if it ends without one; its log says why."""
    from minidock.linux import executable

    log = str(run_dir / "zygote.log")
    python = os.path.realpath(python)
    arguments = [_ROOT, instance, version, str(path), str(_READY)]
    flags = ["-I", "-S", "-X", "utf8", *(["-B"] if sys.dont_write_bytecode else [])]
    with trace.step("start zygote", path), ExitStack() as fds:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        fds.callback(os.close, reader)
        with ExitStack() as theirs:
            theirs.callback(os.close, writer)
            program = executable.protected(python)
            theirs.callback(os.close, program)
            # The file actions are carried out in order: what they still need must not lie where they put something.
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (writer, program)]
            for fd in high:
                theirs.callback(os.close, fd)
            pid = os.posix_spawn(
                f"/proc/self/fd/{high[1]}",
                [python, *flags, "-c", _BOOT, *arguments],
                {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                    (os.POSIX_SPAWN_DUP2, high[0], _READY),
                ],
                setsigmask=(),
                setsigdef=signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP},
            )
        ready = os.read(reader, 1)
        os.waitpid(pid, 0)  # whom we launched; the zygote is its child, and by now init's
    if not ready:
        raise errors.SystemFault("start the zygote", str(path), 0, f"it ended at once; see {log}")


def is_ours(command: Sequence[bytes], run_dir: Path) -> bool:
    """Whether a process with this command line (proc(5), cmdline) is a zygote of that instance, or a fork of one: it names its
    socket."""
    socket = os.fsencode(f"{run_dir}/zygote-")
    return any(word.startswith(socket) for word in command) and any(_MAIN.encode() in word for word in command)


def ask_version(path: Path) -> tuple[str, int] | None:
    """(version, pid) of the zygote that listens at `path`; None if none does."""
    with suppress(OSError, ValueError), _connect(path) as sock:
        protocol.send(sock, {"op": "version"})
        answer, _ = protocol.receive(sock)
        return answer["version"], answer["pid"]
    return None


def stop(path: Path) -> None:
    """End the zygote that listens at `path` and wait until it has ended; its shims go on. A dead one's socket is removed."""
    from minidock.linux import process

    answer = ask_version(path)
    if answer:
        with suppress(ProcessLookupError):
            pidfd = process.pidfd_open(answer[1])
            try:
                process.pidfd_send_signal(pidfd, signal.SIGTERM)
                _wait_end(pidfd)
            finally:
                os.close(pidfd)
    with suppress(FileNotFoundError):
        os.unlink(path)


def _wait_end(pidfd: int) -> None:
    """Wait for the end of a process that is not our child: its pidfd becomes readable (pidfd_open(2))."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll()

"""The other runtimes on this machine, started so that nothing of them is left behind.

`dockerd()` gives a private Docker engine: its own state directory, sockets and cgroup parent, inside network, mount and
process namespaces of its own. When the ``with`` ends, the process namespace is killed with all that was ever started in it; the
bridge, the iptables rules and the mounts go with their namespaces; the files and cgroups are removed here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Dockerd:
    """A running private engine: `host` is what ``DOCKER_HOST`` takes, `pid` the dockerd as this namespace sees it."""

    host: str
    pid: int

    def __call__(self, *args: str, check: bool = True, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """``docker ARGS`` against this engine; output captured. With `check`, RuntimeError in docker's words if it fails."""
        done = subprocess.run(["docker", "-H", self.host, *args], input=stdin, capture_output=True, timeout=120)
        if check and done.returncode:
            raise RuntimeError(f"docker {args[0]}: exit {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done


@contextmanager
def dockerd(directory: Path, *, bridge: bool = False, timeout: float = 60.0) -> Iterator[Dockerd]:
    """Run a dockerd with its data and its log below `directory`.

    With `bridge`, it has docker0 and its iptables rules in its own network namespace; else containers can have the
    networks none and host (which is that namespace). Raises RuntimeError with the log's end when it does not come up.
    """
    name = f"minidock-test-{os.getpid()}-{secrets.token_hex(4)}"  # the leak check knows it as this process's
    run = Path(tempfile.mkdtemp(prefix="peer-"))  # short: containerd's sockets lie in it, whose paths have 107 bytes
    socket, log = run / "d.sock", directory / "dockerd.log"
    network = ["--bip=10.213.0.1/24"] if bridge else ["--bridge=none", "--iptables=false", "--ip6tables=false"]
    command = [
        *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation=private"),
        *("sh", "-c", 'ip link set lo up; exec dockerd "$@"', "dockerd"),
        *(f"--data-root={directory}/data", f"--exec-root={run}/exec", f"--pidfile={run}/pid"),
        *(f"--host=unix://{socket}", f"--cgroup-parent=/{name}", "--storage-driver=overlay2", *network),
    ]
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, directory / "data", ignore_errors=True)
        undo.callback(shutil.rmtree, run, ignore_errors=True)
        undo.callback(_remove_cgroups, name)
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        undo.callback(_end, process)
        _wait_for(socket, process, log, time.monotonic() + timeout)
        yield Dockerd(f"unix://{socket}", _child_of(process.pid))


def _wait_for(socket: Path, process: subprocess.Popen[bytes], log: Path, deadline: float) -> None:
    while subprocess.run(["docker", "-H", f"unix://{socket}", "version"], capture_output=True).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dockerd did not come up:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to pid 1 of the process namespace: the kernel kills the rest before that process's wait returns."""
    with contextlib.suppress(OSError, IndexError):
        os.kill(_child_of(process.pid), signal.SIGKILL)
    process.wait(30)


def _remove_cgroups(name: str) -> None:
    from minidock.libcontainer import cgroups

    cgroups.manager(f"/{name}").remove()

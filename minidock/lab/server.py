"""``./lab``: JupyterLab on loopback, at the start page, its address printed on one line, and nothing else in the way.

JupyterLab prints a screenful and hides the token when it was set explicitly; a course wants one line to click. So the
server is subclassed at the one hook that Jupyter calls when it listens ("launch the browser"): it prints the address, and
opens a browser only where there is a screen. A taken port means the next free one (Jupyter's own retries).

Kernels need root, because containers do. The server therefore runs as root, listens on 127.0.0.1 unless told otherwise,
and always wants its token. What it saves keeps the owner of the folder that it is saved in.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar, NoReturn

from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyterlab.labapp import LabApp
from traitlets import default

from minidock.linux import process

START_PAGE = "00-preflight.ipynb"
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def address(ip: str, port: int, token: str) -> str:
    """The address of the start page, token included: what a reader clicks or pastes."""
    host = "127.0.0.1" if ip in ("0.0.0.0", "::", "localhost", "") else f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{port}/lab/tree/{START_PAGE}?token={token}"


def open_browser(url: str) -> None:
    """Open `url` as the person at the screen, if there is one; root's own browser would refuse to start."""
    opener = shutil.which("xdg-open")
    if opener is None or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    user = os.environ.get("SUDO_USER")
    command = ["sudo", "-u", user, "--preserve-env=DISPLAY,WAYLAND_DISPLAY,XAUTHORITY", opener, url] if user else [opener, url]
    subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


class Kernels(AsyncMappingKernelManager):
    """Jupyter's kernels, with standard error in a file of their own while they run: one that is ended while it still imports
    would leave its traceback on the reader's terminal. (What a cell writes comes to the notebook by another way.)"""

    log_file: ClassVar[IO[bytes]]  # open as long as the server runs: a restart uses it again

    async def start_kernel(self, **options: Any) -> str:  # type: ignore[override]  # an alias of a method in the base class
        """As Jupyter's."""
        return str(await super().start_kernel(stderr=self.log_file, **options))


class Files(AsyncLargeFileManager):
    """Jupyter's files, each with the owner of its folder: root saves, and the checkout is somebody's."""

    @default("post_save_hook")
    def _keep_owner(self) -> Callable[..., None]:
        return keep_owner


class Server(ServerApp):
    """Jupyter's server with our kernels and files, and our one line where it would launch a browser."""

    @default("kernel_manager_class")
    def _kernels(self) -> type[Kernels]:
        return Kernels

    @default("contents_manager_class")
    def _files(self) -> type[Files]:
        return Files

    def launch_browser(self) -> None:
        """Called by Jupyter when all is ready but for the sockets: those are bound in the loop, in a callback before ours."""
        self.io_loop.add_callback(self.announce)

    def announce(self) -> None:
        """Say where we are."""
        url = address(self.ip, self.port, self.identity_provider.token)
        sys.stdout.write(f"JupyterLab: {url}\n(Ctrl-C ends it)\n")
        sys.stdout.flush()
        open_browser(url)


class Lab(LabApp):  # type: ignore[misc]  # untyped base class
    """JupyterLab on that server."""

    serverapp_class: ClassVar[type[Any]] = Server


class Parser(argparse.ArgumentParser):
    """argparse with one line for a mistake, as the rest of ``./lab`` has it."""

    def error(self, message: str) -> NoReturn:
        """Say it and end."""
        sys.stderr.write(f"lab: {message} (see ./lab help)\n")
        sys.exit(2)


def arguments(argv: list[str]) -> argparse.Namespace:
    """``--ip`` and ``--port``; anything else, and an address that is not this machine's, is said in one line."""
    parser = Parser(prog="./lab", allow_abbrev=False, add_help=False)
    parser.add_argument("--ip", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8888)
    args = parser.parse_args(argv)
    if not 1 <= args.port <= 65535:
        parser.error(f"--port wants a number from 1 to 65535, not {args.port}")
    if reason := unusable(args.ip):
        parser.error(f'cannot listen on --ip "{args.ip}": {reason}')
    return args


def unusable(ip: str) -> str:
    """Why nothing can listen on `ip`; "" if something can."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(ip, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(where)
    except (OSError, UnicodeError) as error:
        return (error.strerror if isinstance(error, OSError) else "") or "not an address"
    return ""


def keep_owner(os_path: str, **_: object) -> None:
    """After a save: the file, and the checkpoint beside it, belong to whom the folder belongs to."""
    path = Path(os_path)
    owner = path.parent.stat()
    checkpoints = path.parent / ".ipynb_checkpoints"
    for made in (path, checkpoints, *checkpoints.glob("*")):
        if made.exists():
            os.chown(made, owner.st_uid, owner.st_gid, follow_symlinks=False)


def options(args: argparse.Namespace) -> list[str]:
    """Jupyter's command line: quiet, no questions, no telemetry, the chapters as the root folder."""
    return [
        f"--ServerApp.ip={args.ip}",
        f"--ServerApp.port={args.port}",
        "--ServerApp.port_retries=50",
        "--ServerApp.open_browser=True",
        "--ServerApp.allow_root=True",
        "--ServerApp.answer_yes=True",
        f"--ServerApp.root_dir={NOTEBOOKS}",
        f"--IdentityProvider.token={secrets.token_hex(24)}",
        f"--LabApp.default_url=/lab/tree/{START_PAGE}",
        "--LabApp.extension_manager=readonly",
        "--Application.log_level=ERROR",
        "--KernelManager.transport=ipc",  # unix sockets: on loopback any user of the machine could listen in
    ]


def main(argv: list[str] | None = None) -> None:
    """Run until Ctrl-C, or until the terminal is closed."""
    args = arguments(sys.argv[1:] if argv is None else argv)
    process.set_parent_death_signal(signal.SIGTERM)  # ./lab waits for us; without it nobody could end us
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    runtime = Path(jupyter_runtime_dir())
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(runtime / "kernels.log", "ab") as Kernels.log_file:
        Lab.launch_instance(options(args))


if __name__ == "__main__":
    main()

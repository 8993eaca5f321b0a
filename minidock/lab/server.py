"""``./lab``: JupyterLab on loopback, at the start page, its address printed on one line, and nothing else in the way.

JupyterLab prints a screenful and hides the token when it was set explicitly; a course wants one line to click. So the
server is subclassed at the one hook that Jupyter calls when it listens ("launch the browser"): it prints the address, and
opens a browser only where there is a screen. A taken port means the next free one (Jupyter's own retries).

Kernels need root, because containers do. The server therefore runs as root, listens on 127.0.0.1 unless told otherwise,
and always wants its token.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

from jupyter_server.serverapp import ServerApp
from jupyterlab.labapp import LabApp

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


class Server(ServerApp):
    """Jupyter's server, with our one line where it would launch a browser."""

    def launch_browser(self) -> None:
        """Called by Jupyter once the server listens."""
        url = address(self.ip, self.port, self.identity_provider.token)
        sys.stdout.write(f"JupyterLab: {url}\n(Ctrl-C ends it)\n")
        sys.stdout.flush()
        open_browser(url)


class Lab(LabApp):  # type: ignore[misc]  # untyped base class
    """JupyterLab on that server."""

    serverapp_class: ClassVar[type[Any]] = Server


def arguments(argv: list[str]) -> argparse.Namespace:
    """``--ip`` and ``--port``; anything else is said in one line."""
    parser = argparse.ArgumentParser(prog="./lab", description="JupyterLab with the chapters, on loopback.")
    parser.add_argument("--ip", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8888, help="first port to try (default: 8888)")
    return parser.parse_args(argv)


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
    ]


def main(argv: list[str] | None = None) -> None:
    """Run until Ctrl-C."""
    args = arguments(sys.argv[1:] if argv is None else argv)
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
    Lab.launch_instance(options(args))


if __name__ == "__main__":
    main()

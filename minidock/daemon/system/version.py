"""``docker version``: what this engine is and what it stands on. Source: Engine API 1.41, ``GET /version``."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

import minidock
from minidock.daemon.base.verb import verb

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine

API_VERSION = "1.41"
MIN_API_VERSION = "1.24"
# uname's machine → Go's GOARCH, in which docker writes it
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture() -> str:
    """This machine's architecture in docker's words."""
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


@verb
def version(engine: Engine) -> dict[str, Any]:
    """The Engine API's version object. GoVersion is empty: PythonVersion is what stands in its place."""
    details = {
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": "",
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": os.uname().release,
        "PythonVersion": platform.python_version(),
        "Experimental": "false",
    }
    return {
        "Platform": {"Name": "minidock"},
        "Components": [
            {"Name": "Engine", "Version": minidock.__version__, "Details": details},
            {"Name": engine.execdriver.name, "Version": minidock.__version__, "Details": {}},
        ],
        "Version": minidock.__version__,
        "GoVersion": "",
        **details,
        "Experimental": False,
        "BuildTime": "",
    }

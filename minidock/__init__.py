"""minidock: a Docker-like container runtime in Python.

``minidock.from_env()`` gives a client in docker-py's shape whose engine runs in this process::

    client = minidock.from_env()
    client.containers.run("busybox", "echo hello", network_mode="none", remove=True)

The names below are loaded when they are first used: ``import minidock`` itself costs a millisecond, and the zygote, the shims
and the command line, which import their own parts of the package, pay for nothing else.
"""

TYPE_CHECKING = False  # typing's own would cost 8 ms here
if TYPE_CHECKING:
    from minidock import errors, types
    from minidock.client.api import APIClient
    from minidock.client.client import DockerClient, from_env

__version__ = "0.1.0"
__all__ = ["APIClient", "DockerClient", "__version__", "errors", "from_env", "types"]

_LAZY = {
    "APIClient": "minidock.client.api",
    "DockerClient": "minidock.client.client",
    "from_env": "minidock.client.client",
}


def __getattr__(name: str) -> object:
    """Import what `name` needs (PEP 562)."""
    import importlib

    if name in ("errors", "types"):
        return importlib.import_module(f"minidock.{name}")
    if name not in _LAZY:
        raise AttributeError(f"module 'minidock' has no attribute '{name}'")
    value: object = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""A request for a container, parsed once: what the client sent goes in, what the engine works with comes out.

::

    ConfigRequest ── merge with the image's ──┐
                                              ├── validate ── Request: config, host_config, mounts, warnings
    HostConfig ───── complete ────────────────┘

Nothing here changes what it was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minidock.daemon.request import unmarshal
from minidock.daemon.request.defaults import SHM_SIZE
from minidock.daemon.request.merge import merge
from minidock.daemon.request.validate import Request, validate

if TYPE_CHECKING:
    from minidock.daemon.request.wire import ConfigRequest, HostConfig


def parse(asked: ConfigRequest, host_config: HostConfig, image: ConfigRequest, remapped: bool) -> Request:
    """What `asked` and `host_config` mean for a container of an image whose config is `image`.

    `remapped`: user namespaces are the default of this engine. Raises InvalidParameter, or NotSupported.
    """
    config = merge(asked, image)
    config["Image"] = asked["Image"]
    return validate(config, complete(host_config), remapped)


def complete(host_config: HostConfig) -> HostConfig:
    """`host_config` with docker's defaults where it says nothing. Raises InvalidParameter for what is no number."""
    unmarshal.check(host_config)
    whole = host_config.copy()
    whole["NetworkMode"] = whole.get("NetworkMode") or "default"
    whole["ShmSize"] = whole.get("ShmSize") or SHM_SIZE
    policy = whole.get("RestartPolicy") or {}
    whole["RestartPolicy"] = {
        "Name": policy.get("Name") or "no",
        "MaximumRetryCount": policy.get("MaximumRetryCount") or 0,
    }
    log = whole.get("LogConfig") or {}
    whole["LogConfig"] = {"Type": log.get("Type") or "json-file", "Config": log.get("Config") or {}}
    whole["IpcMode"] = whole.get("IpcMode") or "private"
    if whole.get("Memory") and not whole.get("MemorySwap"):
        whole["MemorySwap"] = min(2 * whole["Memory"], (1 << 63) - 1)
    return whole

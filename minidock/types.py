"""``from minidock.types import Mount``: where docker-py's users look. The types themselves are in `minidock.client.types`."""

from minidock.client.types import (
    DeviceRequest,
    EndpointConfig,
    Healthcheck,
    HostConfig,
    LogConfig,
    Mount,
    NetworkingConfig,
    Ulimit,
)

__all__ = [
    "DeviceRequest",
    "EndpointConfig",
    "Healthcheck",
    "HostConfig",
    "LogConfig",
    "Mount",
    "NetworkingConfig",
    "Ulimit",
]

"""What `ExecDriver.start` and `exec` are given: a container as data. Built by the daemon, carried out by libcontainer."""

from minidock.libcontainer.config import (
    HOST,
    NEW,
    Capabilities,
    Cgroup,
    Config,
    Device,
    DeviceRule,
    ExecConfig,
    IdMap,
    Mount,
    Namespaces,
    Process,
    Rlimit,
    RootMount,
)
from minidock.libcontainer.devices import ALL as ALL_DEVICES
from minidock.libcontainer.devices import NODES as DEVICES
from minidock.libcontainer.devices import RULES as DEVICE_RULES

__all__ = [
    "ALL_DEVICES", "DEVICES", "DEVICE_RULES", "HOST", "NEW", "Capabilities", "Cgroup", "Config", "Device", "DeviceRule",
    "ExecConfig", "IdMap", "Mount", "Namespaces", "Process", "Rlimit", "RootMount",
]  # fmt: skip

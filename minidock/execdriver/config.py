"""What `ExecDriver.start` and `exec` are given: a container as data. Built by the daemon, carried out by libcontainer."""

from minidock.libcontainer.config import HOST as HOST
from minidock.libcontainer.config import NEW as NEW
from minidock.libcontainer.config import Capabilities as Capabilities
from minidock.libcontainer.config import Cgroup as Cgroup
from minidock.libcontainer.config import Config as Config
from minidock.libcontainer.config import Device as Device
from minidock.libcontainer.config import DeviceRule as DeviceRule
from minidock.libcontainer.config import ExecConfig as ExecConfig
from minidock.libcontainer.config import IdMap as IdMap
from minidock.libcontainer.config import Mount as Mount
from minidock.libcontainer.config import Namespaces as Namespaces
from minidock.libcontainer.config import Process as Process
from minidock.libcontainer.config import Rlimit as Rlimit
from minidock.libcontainer.config import RootMount as RootMount

"""Containers' limits and counters, in words that do not say which version of cgroups this machine has."""

from minidock.libcontainer.cgroups import Hierarchy as Hierarchy
from minidock.libcontainer.cgroups import Manager as Manager
from minidock.libcontainer.cgroups import Resources as Resources
from minidock.libcontainer.cgroups import Stats as Stats
from minidock.libcontainer.cgroups import available_cpuset as available_cpuset
from minidock.libcontainer.cgroups import ensure as ensure
from minidock.libcontainer.cgroups import ensure_parent as ensure_parent
from minidock.libcontainer.cgroups import from_host_config as from_host_config
from minidock.libcontainer.cgroups import hand_down as hand_down
from minidock.libcontainer.cgroups import hierarchies as hierarchies
from minidock.libcontainer.cgroups import kernel_memory as kernel_memory
from minidock.libcontainer.cgroups import manager as manager
from minidock.libcontainer.cgroups import pids_below as pids_below
from minidock.libcontainer.cgroups import present as present
from minidock.libcontainer.cgroups import rmdir as rmdir
from minidock.libcontainer.cgroups import settings as settings
from minidock.libcontainer.cgroups import thaw_below as thaw_below
from minidock.libcontainer.cgroups import try_out as try_out
from minidock.libcontainer.cgroups import version as version

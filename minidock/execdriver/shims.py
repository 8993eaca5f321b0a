"""What a shim is told at the start, and what is spoken on its attach stream (``shim/protocol.py`` has all of it)."""

from minidock.shim.detach import parse as parse_keys
from minidock.shim.protocol import STDERR as STDERR
from minidock.shim.protocol import STDOUT as STDOUT
from minidock.shim.protocol import LogConfig as LogConfig
from minidock.shim.protocol import ShimConfig as ShimConfig
from minidock.shim.protocol import frame as frame
from minidock.shim.protocol import unframe as unframe

__all__ = ["STDERR", "STDOUT", "LogConfig", "ShimConfig", "frame", "parse_keys", "unframe"]

"""What the values of docker's flags mean: pure functions from text to Engine API values, with docker's words for mistakes.

Functions used as a flag's `parse` raise `BadValue`, which becomes ``invalid argument "x" for "--flag" flag: …``. What docker
finds only when it puts the options together is an `OptionError`, said as ``minidock: …``. Both exit with 125.

Sources: docker/cli 28 ``opts/`` and ``cli/command/container/opts.go``; docker/go-units.
"""

from __future__ import annotations

from minidock.cli.grammar.values import BadValue

__all__ = ["BadValue", "OptionError"]


class OptionError(Exception):
    """Options that cannot be together, or a file named by one that cannot be read."""

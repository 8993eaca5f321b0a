"""``python -m minidock.daemon.exits.entry ROOT ID RUN``: what a shim executes when its container has ended and no engine owns
the exit (`Paths.after_exit`). It is an engine of its own, which does what is due and ends.

A shim executes the path that it was started with. One that was started before an update which renames this file finds no such
module, and what is due waits for the next engine that is opened: `reconcile` does it then.
"""

from __future__ import annotations

import sys

from minidock.daemon.engine import Engine
from minidock.daemon.exits.due import after_exit
from minidock.errors import SystemFault


def main(root: str, id: str, run: int) -> int:
    """Do what is due. A fault has nobody to be told to but the zygote's log."""
    try:
        with Engine(root) as engine:
            after_exit(engine, id, run)
    except SystemFault as error:
        print(f"after exit of {id}: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

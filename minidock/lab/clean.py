"""``./lab clean``: what chapters made by hand, then the instance itself. Needs nothing but the system's Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from minidock.daemon.system.teardown import teardown
from minidock.errors import APIError, SystemFault
from minidock.lab.cleanup import Marks, take_away

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def clean() -> None:
    """Take away all that the chapters and the instance (MINIDOCK_ROOT) put on this machine. Repeatable. Raises SystemFault,
    OSError or CalledProcessError for what could not be taken away."""
    for chapter in sorted(NOTEBOOKS.glob("[0-9]*.ipynb")):
        take_away(Marks(chapter.stem))
    teardown()


def main() -> int:
    """The command line: one line for each thing that was in the way."""
    try:
        clean()
    except (SystemFault, APIError, OSError, subprocess.CalledProcessError) as e:
        sys.stderr.write(f"lab clean: {e}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

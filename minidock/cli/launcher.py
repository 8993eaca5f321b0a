"""What ``bin/minidock`` runs: one command, and then the end of the process at once.

Python would now take apart all modules and objects, one by one, 8 ms that end every command; the kernel frees the same memory
in one. Nothing is left to do by then: `main` has closed the client and written what was printed, and the threads that may still
be there are daemons, which nobody waits for either. Whoever wants the orderly end, for a profiler, has it with
``python -m minidock.cli.main``.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from minidock.cli.main import main


def launch() -> NoReturn:
    """`main` with the words of the command line; ends the process with its exit code."""
    code = main()
    sys.stdout.flush()  # an interrupted command's
    os._exit(code)

"""What ``bin/minidock`` runs: one command, and then the end of the process at once.

Python would now take apart all modules and objects, one by one, 8 ms that end every command; the kernel frees the same memory
in one. Nothing is left to do by then: `main` has closed the client and written what was printed, and the threads that may still
be there are daemons, which nobody waits for either. Whoever wants the orderly end, for a profiler, has it with
``python -m minidock.cli.main``.

The garbage collector looks at all objects each time that some 700 more have been made (gc.set_threshold); a start makes tens of
thousands, nearly all of them modules, which stay. Told to wait longer it costs 4 ms less, and a long command still has it.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

GARBAGE = 50_000  # objects more than were freed, before the collector looks


def launch() -> NoReturn:
    """`main` with the words of the command line; ends the process with its exit code."""
    gc.set_threshold(GARBAGE)
    from minidock.cli.main import main  # from here on it counts

    code = main()
    with suppress(BrokenPipeError):
        sys.stdout.flush()  # an interrupted command's
    os._exit(code)

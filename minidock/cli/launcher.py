"""What ``bin/minidock`` runs: one command, and then the end of the process at once.

**The beginning.** ``python -m minidock.cli.launcher`` writes the command into the environment it runs in. Its interpreter is
started with ``-I -S``: without the module `site`, which looks for what is installed and carries out the .pth files there
(3 ms of 10 that an empty Python takes), and without PYTHON… variables and the working directory, which have no say in what
root's command loads. The two folders that a command may need are written into it instead: the package's own, and the one of the
few packages that are not ours. ``pip install`` makes a plainer command from the entry in pyproject.toml, which does the same.

**The end.** Python would now take apart all modules and objects, one by one, 8 ms that end every command; the kernel frees the
same memory in one. Nothing is left to do by then: `main` has closed the client and written what was printed, and the threads
that may still be there are daemons, which nobody waits for either. Whoever wants the orderly end, for a profiler, has it with
``python -m minidock.cli.main``.

**In between** the garbage collector looks at all objects each time that some 700 more have been made (gc.set_threshold); a
start makes tens of thousands, nearly all of them modules, which stay. Told to wait longer it costs 4 ms less, and a long
command still has it.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

GARBAGE = 50_000  # objects more than were freed, before the collector looks
SCRIPT = """\
#!{python} -IS
import sys

sys.path += {path!r}
from minidock.cli.launcher import launch

launch()
"""


def launch() -> NoReturn:
    """`main` with the words of the command line; ends the process with its exit code."""
    gc.set_threshold(GARBAGE)
    try:
        from minidock.cli import streams  # from here on it counts

        streams.install()
        from minidock.cli.main import main

        code = main()
    except KeyboardInterrupt:  # before main's own, or after
        code = 130
    os._exit(code)


def install() -> str:
    """Write the command ``minidock`` beside the interpreter that runs this; returns its path. Raises OSError."""
    import sysconfig

    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.path.join(os.path.dirname(sys.executable), "minidock")
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(SCRIPT.format(python=sys.executable, path=[package, sysconfig.get_path("purelib")]))
        os.fchmod(file.fileno(), 0o755)
    os.rename(f"{path}.new", path)
    return path


if __name__ == "__main__":
    install()

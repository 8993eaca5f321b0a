"""``python -m tests.bench [NAME…]``: minidock beside its peers, in one run, on this machine.

Prints tables and saves samples and figures under build/bench. Nothing is asserted on time: a slow or noisy machine shifts
every figure, a ratio taken in turn less so.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.bench import cold, crowd, limits, memory, scale, shim, stats, steps, warm
from tests.bench.stage import Stage, tmpfs_on_run

EXPERIMENTS = {
    "warm": warm.run,
    "cold": cold.run,
    "exec": cold.run_exec,
    "verbs": cold.verbs,
    "crowd": crowd.run,
    "commands": crowd.commands,
    "memory": memory.run,
    "scale": scale.run,
    "shim": shim.run,
    "limits": limits.run,
    "stats": stats.run,
    "steps": steps.run,
}


def main(names: list[str]) -> int:
    unknown = [n for n in names if n not in EXPERIMENTS]
    if unknown:
        sys.stderr.write(f"bench: no such experiment: {', '.join(unknown)} (there are: {', '.join(EXPERIMENTS)})\n")
        return 2
    tmpfs_on_run()
    with tempfile.TemporaryDirectory(prefix="mdb", dir="/var/tmp") as folder, ExitStack() as stack:
        stage = stack.enter_context(Stage(Path(folder)))
        for name in names or list(EXPERIMENTS):
            for number, table in enumerate(EXPERIMENTS[name](stage)):
                table.save(f"{name}-{number}")
                sys.stdout.write(table.text() + "\n\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

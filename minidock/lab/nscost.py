"""What each namespace costs: clone3 with one flag after the other, measured in a small process.

``python -m minidock.lab.nscost ROUNDS`` prints tidy rows as JSON. It is a program of its own because a fork copies the page
tables of its parent: in a notebook's kernel, which holds a few hundred MB, that copy would hide what we want to see. Even
here a plain fork is most of the time; what a namespace adds is the difference to the row ``none``.

``make`` is the time clone3 takes; ``life`` ends when the child, which does nothing but _exit, has been reaped: taking a
namespace apart is paid there, or later by a kernel worker (a network namespace's end is).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import NoReturn

from minidock.lab.measure import Row
from minidock.linux import namespaces, process

SINGLE = ("uts", "ipc", "pid", "user", "cgroup", "time", "mnt", "net")
CASES: dict[str, tuple[str, ...]] = {
    "none": (),
    **{name: (name,) for name in SINGLE},
    "the five of 2015": ("mnt", "uts", "ipc", "pid", "net"),
    "all eight": SINGLE,
}


def once(flags: int) -> tuple[float, float]:
    """One child with these clone flags: microseconds until clone3 returned, and until the child was reaped."""
    start = time.monotonic_ns()
    pid, pidfd = process.clone3(_end, flags)
    made = time.monotonic_ns()
    os.waitpid(pid, 0)
    ended = time.monotonic_ns()
    os.close(pidfd)
    return (made - start) / 1e3, (ended - start) / 1e3


def _end() -> NoReturn:
    os._exit(0)


def main() -> None:
    """Measure every case, interleaved, ROUNDS times after one warm-up round; print the rows."""
    rounds, rows = int(sys.argv[1]), []
    for i in range(rounds + 1):
        for case, names in CASES.items():
            flags = 0
            for name in names:
                flags |= namespaces.FLAG[name]
            made, life = once(flags)
            if i:
                rows.append({"case": case, "round": i, "make_us": made, "life_us": life})
    print(json.dumps(rows))  # noqa: T201


def measure(rounds: int = 30) -> list[Row]:
    """Run this module as a process of its own and return its rows (case, round, make_us, life_us)."""
    argv = [sys.executable, "-m", "minidock.lab.nscost", str(rounds)]
    rows: list[Row] = json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=120).stdout)
    return rows


if __name__ == "__main__":
    main()

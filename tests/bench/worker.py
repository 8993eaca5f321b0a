"""A process that times commands for the bench: reads an argv as JSON, runs it, answers with the wall time in seconds.

It runs in a mount namespace of its own, without the cgroup2 mount of a hybrid host: crun refuses such a host, and a wrapper
in front of each crun would be measured along with it. The other commands do not mind.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def main() -> None:
    for line in sys.stdin:
        argv = json.loads(line)
        start = time.perf_counter()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        took = time.perf_counter() - start
        sys.stdout.write(json.dumps({"seconds": took, "code": done.returncode, "output": done.stdout.decode()[-400:]}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    unified = "/sys/fs/cgroup/unified"
    if os.path.ismount(unified):
        subprocess.run(["umount", unified], check=True)
    main()

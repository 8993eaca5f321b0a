"""The peers that minidock is measured against, in one run, on the same machine: runc, crun, dockerd."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType

APPLETS = ("sh", "true", "echo", "sleep", "cat")


def bundle(where: Path, args: list[str]) -> Path:
    """An OCI bundle (runtime-spec, ``runc spec``'s defaults) with a busybox root, without a terminal."""
    root = where / "rootfs"
    (root / "bin").mkdir(parents=True)
    for folder in ("proc", "sys", "dev", "tmp", "etc"):
        (root / folder).mkdir()
    shutil.copy2("/bin/busybox", root / "bin/busybox")
    for applet in APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    subprocess.run(["runc", "spec"], cwd=where, check=True)
    spec = json.loads((where / "config.json").read_text())
    spec["process"].update(terminal=False, args=args)
    spec["root"]["readonly"] = False
    (where / "config.json").write_text(json.dumps(spec))
    return where


class Worker:
    """Times whole commands, from outside; see ``worker.py``. `root` is the instance that our own command works on."""

    def __init__(self, root: Path) -> None:
        self._environment = {**os.environ, "MINIDOCK_ROOT": str(root)}

    def __enter__(self) -> Worker:
        command = ["unshare", "-m", sys.executable, str(Path(__file__).with_name("worker.py"))]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, **pipes, text=True, env=self._environment)
        return self

    def time(self, *argv: str, expect: int = 0) -> float:
        """Seconds of wall time that `argv` took. RuntimeError, with its words, if it ended with anything but `expect`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(argv) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if answer["code"] != expect:
            raise RuntimeError(f"{argv[0]}: exit {answer['code']}: {answer['output']}")
        return float(answer["seconds"])

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._process.communicate()

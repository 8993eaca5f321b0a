"""``python -m tests.faults``: put each fault into a copy of the checkout and see whether the tests see it.

    python -m tests.faults                  all of them; exit status 1 below 95 % seen
    python -m tests.faults --only shim      those whose file, tests or loss match a regular expression
    python -m tests.faults --unit           those that unit tests see: no root, some seconds each
    python -m tests.faults --list           what there is, and nothing is run

The tests of all chosen faults are run once without any: a test that fails anyway sees nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.faults import Fault
from tests.faults.table import FAULTS

CHECKOUT = Path(__file__).resolve().parents[2]
WANTED = 0.95  # of all faults
TIMEOUT = 300  # seconds for the tests of one fault
SEEN, UNSEEN, BROKEN = "seen", "NOT SEEN", "does not apply"


def copy_checkout(to: Path) -> None:
    """The files of the checkout as they are now, and its environment with the paths in it changed."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, check=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (CHECKOUT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, to / name)
    venv = CHECKOUT / ".venv"
    linked = os.stat(venv).st_dev == os.stat(to).st_dev
    subprocess.run(["cp", "-a", *(["-l"] if linked else []), venv, to / ".venv"], check=True)
    site = (to / ".venv/lib").glob("python3*/site-packages/minidock.pth")
    for path in (*(to / ".venv/bin").iterdir(), *site):
        if path.is_symlink() or not path.is_file() or os.fsencode(CHECKOUT) not in (data := path.read_bytes()):
            continue
        mode = path.stat().st_mode
        path.unlink()  # a hard link: the checkout's own stays as it is
        path.write_bytes(data.replace(os.fsencode(CHECKOUT), os.fsencode(to)))
        path.chmod(mode)


def run_tests(copy: Path, tests: Sequence[str], *options: str) -> tuple[int, str]:
    """(pytest's exit status, what it printed) in the copy; -1 when it took too long."""
    command = [copy / ".venv/bin/python", "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *options, *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env={**os.environ, "CI": "1"}, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired as late:
        return -1, str(late)
    return done.returncode, done.stdout + done.stderr


@contextmanager
def applied(copy: Path, fault: Fault, serial: int) -> Iterator[None]:
    """The fault in the copy's file for the time of a ``with``. Each version has a time of its own, or an old .pyc would do."""
    path = copy / "minidock" / fault.file
    text, status = path.read_text(), path.stat()
    path.write_text(text.replace(fault.old, fault.new))
    os.utime(path, (status.st_atime, status.st_mtime + serial))
    try:
        yield
    finally:
        path.write_text(text)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def judge(copy: Path, fault: Fault, serial: int) -> tuple[str, str]:
    """(the outcome, what pytest printed)."""
    text = (copy / "minidock" / fault.file).read_text()
    if text.count(fault.old) != 1:
        return BROKEN, f"the anchor is {text.count(fault.old)} times in the file"
    with applied(copy, fault, serial):
        status, output = run_tests(copy, fault.tests.split(), "-x")
    return {0: UNSEEN, 1: SEEN, -1: SEEN}.get(status, BROKEN), output  # a test that never ends is seen as well


def whole(copy: Path, faults: Sequence[Fault]) -> bool:
    """The control: the same tests see nothing where nothing is."""
    selected = {word for fault in faults for word in fault.tests.split()}
    files = sorted(word for word in selected if "::" not in word)
    single = sorted(word for word in selected if "::" in word and word.partition("::")[0] not in files)
    status, output = run_tests(copy, [*files, *single])
    if status:
        sys.stdout.write(output)
    return status == 0


def chosen(only: str, unit: bool) -> list[Fault]:
    """The faults that match."""
    found = [f for f in FAULTS if re.search(only, f"{f.file} {f.tests} {f.loss}")]
    return [f for f in found if not unit or all(word.startswith("tests/unit") for word in f.tests.split())]


def main(argv: Sequence[str]) -> int:
    """The command line. Returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Do the tests see small faults?")
    parser.add_argument("--only", default="", metavar="PATTERN", help="those whose file, tests or loss match")
    parser.add_argument("--unit", action="store_true", help="those that unit tests are to see")
    parser.add_argument("--list", action="store_true", help="show them, run nothing")
    parser.add_argument("--verbose", action="store_true", help="show what pytest said of those that were not seen")
    options = parser.parse_args(argv)
    faults = chosen(options.only, options.unit)
    if options.list:
        sys.stdout.writelines(f"{fault.file}: {fault.loss}\n    {fault.tests}\n" for fault in faults)
        return 0
    outcomes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="minidock-faults-", dir="/var/tmp") as name:
        copy = Path(name)
        copy_checkout(copy)
        if not whole(copy, faults):
            sys.stdout.write("the tests fail without any fault: nothing can be said\n")
            return 1
        for serial, fault in enumerate(faults, 1):
            begun = time.monotonic()
            outcome, output = judge(copy, fault, serial)
            outcomes.append(outcome)
            sys.stdout.write(f"{outcome:15}{time.monotonic() - begun:6.1f} s  {fault.file}: {fault.loss}\n")
            if outcome == BROKEN or (options.verbose and outcome == UNSEEN):
                sys.stdout.write(f"{output}\n")
            sys.stdout.flush()
    seen = outcomes.count(SEEN)
    sys.stdout.write(f"{seen} of {len(outcomes)} seen, {outcomes.count(BROKEN)} do not apply\n")
    return 0 if outcomes and seen >= WANTED * len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

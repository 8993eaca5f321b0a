"""The command line: ``python -m lab_vm run [--cgroup v1|v2] [--kernel PACKAGE] [--timeout SECONDS] -- COMMAND [ARG...]``.

``prepare`` fetches the kernel and builds the image now instead of at the first run, ``clean`` empties the cache. The exit
status is the command's; 128 + n when signal n killed it, 124 when the time was up, 125 when there was no machine.
"""

from __future__ import annotations

import argparse
import sys

import lab_vm
from lab_vm import cache


def main(arguments: list[str] | None = None) -> int:
    """The exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.action == "clean":
            cache.remove(cache.directory())
            return 0
        if options.action == "prepare":
            kernel, image, accel = lab_vm.prepare(options.kernel)
            sys.stdout.write(f"kernel {kernel.release}, environment {image}, {accel}\n")
            return 0
        result = lab_vm.run(
            options.command,
            options.cgroup,
            timeout=options.timeout,
            kernel_package=options.kernel,
            cpus=options.cpus,
            memory=options.memory << 20,
            listener=_pass_on,
        )
    except lab_vm.VMError as e:
        sys.stderr.write(f"lab_vm: {e}\n")
        return 124 if isinstance(e, lab_vm.VMTimeout) else 125
    except KeyboardInterrupt:
        return 130
    return result.returncode if result.returncode >= 0 else 128 - result.returncode


def _pass_on(stream: str, data: bytes) -> None:
    target = sys.stdout if stream == "stdout" else sys.stderr
    target.buffer.write(data)
    target.buffer.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab_vm", description="A stock Debian kernel in a virtual machine.")
    actions = parser.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="run a command in a fresh virtual machine")
    run.add_argument("--cgroup", choices=lab_vm.CGROUPS, default="v2", help="the version of control groups (default: v2)")
    run.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="for all, the boot too (default: 600)")
    run.add_argument("--cpus", type=int, default=lab_vm.machine.CPUS, help="processors (default: %(default)s)")
    run.add_argument("--memory", type=int, default=lab_vm.machine.MEMORY >> 20, metavar="MB", help="(default: %(default)s)")
    run.add_argument("command", nargs="+", metavar="COMMAND", help="the command and its arguments, after --")
    prepare = actions.add_parser("prepare", help="fetch the kernel and build the environment's image")
    for each in (run, prepare):
        each.add_argument("--kernel", metavar="PACKAGE", help="Debian's package of the kernel (default: the one of today)")
    actions.add_parser("clean", help="empty the cache")
    return parser


if __name__ == "__main__":
    sys.exit(main())

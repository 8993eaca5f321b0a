"""A virtual machine in seconds: a stock Debian kernel under qemu, with this checkout and its Python in it.

For what the host cannot show: the other version of control groups, another kernel, "the real VM" beside a container::

    python -m lab_vm run --cgroup v2 -- python -m pytest tests/linux/libcontainer/test_cgroups.py

    import lab_vm
    result = lab_vm.run(["cat", "/sys/fs/cgroup/cgroup.controllers"], cgroup="v2")
    result.returncode, result.stdout, result.stderr

Nothing is installed and no root image is downloaded. The boot, bottom to top; each step is a file to open::

     host                                                    guest
     ----                                                    -----
     machine.py   waits for the status, passes output on     COMMAND, in the checkout, with the environment's PATH
        ^                                                       ^
        | frames over one virtio-serial port                    | fork, exec, wait
        +---------------------------------------------------- guest.py     process 1: Python of the image
                                                                ^
                                                                | switch_root
     environment.py   /usr and .venv as one ext4 image --------> |  / (writes go to a temporary file of qemu's)
     the checkout, read-only by 9p ----------------------------> |  at its own path, an overlay above it
     kernel.py        lib/modules, read-only by 9p ------------> |  /lib/modules, loaded when asked for
                                                                |  /sys/fs/cgroup: v2, or v1 as systemd mounts it
                                                              init         a shell script of busybox
                                                                ^
     initramfs.py     busybox + drivers + init, by cpio.py --> initramfs
                                                                ^
     kernel.py        vmlinuz out of linux-image-amd64 ------> kernel
                                                                ^
     qemu.py          the command line                        qemu: KVM, or TCG
     accel.py         a trial boot decides which of the two

What is made once lies in the cache (cache.py): the kernel, the image, the outcome of the trial. A run itself makes no file
with a name, no socket with a name and no network; qemu ends with the process that started it. Several run side by side.

The package needs the standard library only, root or not, and from Debian: qemu-system-x86 (or -arm), busybox-static, e2fsprogs.
Under TCG a guest computes about ten times slower than the host, and time in it is uneven: judge directions there, not numbers.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab_vm import environment
from lab_vm.accel import accelerator
from lab_vm.errors import VMError, VMTimeout
from lab_vm.kernel import Kernel, find_kernel
from lab_vm.machine import CGROUPS, CPUS, MEMORY, PROJECT, Listener, Result, Spec, boot

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    command: Sequence[str],
    cgroup: str = "v2",
    *,
    timeout: float = 120,
    kernel_package: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] = PROJECT,
    cpus: int = CPUS,
    memory: int = MEMORY,
    listener: Listener | None = None,
) -> Result:
    """Run `command` (a list, no shell) as root in a fresh virtual machine; returns when it has ended.

    `cgroup` is ``"v1"`` or ``"v2"``; `timeout` in seconds counts from the start of qemu; `kernel_package` names another kernel
    (``linux-image-…``); `env` is added to PATH, HOME and LANG, nothing of the host's gets in; `cwd` is a folder of the guest;
    `memory` in bytes. `listener` gets ("stdout" or "stderr", bytes) while the guest runs.

    The first call on a machine fetches the kernel and builds the image (half a minute). Raises VMTimeout with what was said by
    then, and VMError when the machine cannot be made or ends without a status. A command that fails is no error: look at
    `Result.returncode` (127: there is no such command).
    """
    if cgroup not in CGROUPS:
        raise VMError(f"cgroup version {cgroup!r}: {' or '.join(CGROUPS)} is wanted")
    started = time.monotonic()
    said: dict[str, list[bytes]] = {"stdout": [], "stderr": []}

    def hear(stream: str, data: bytes) -> None:
        said[stream].append(data)
        if listener:
            listener(stream, data)

    guest = find_kernel(kernel_package)
    variables = {"PATH": f"{sys.prefix}/bin:{_PATH}", "HOME": "/root", "LANG": "C.UTF-8", **(env or {})}
    accel = accelerator(guest, lambda kind, seconds: _trial(guest, kind, seconds))
    spec = Spec(command, cgroup, guest, accel, timeout, variables, os.fspath(cwd), cpus, memory)
    try:
        status = boot(spec, hear)
    except VMTimeout as e:
        raise VMTimeout(str(e), b"".join(said["stdout"]), b"".join(said["stderr"])) from None
    out, err = (b"".join(said[stream]).decode(errors="replace") for stream in ("stdout", "stderr"))
    return Result(status, out, err, time.monotonic() - started, accel)


def prepare(kernel_package: str | None = None) -> tuple[Kernel, Path, str]:
    """What a first `run` would have to fetch and build: (kernel, image, accelerator). Quick when all is there."""
    guest = find_kernel(kernel_package)
    image = environment.image()
    return guest, image, accelerator(guest, lambda kind, seconds: _trial(guest, kind, seconds))


def _trial(guest: Kernel, accel: str, seconds: float) -> int:
    environment.image()  # its making shall not count
    return boot(Spec(["/bin/true"], "v2", guest, accel, seconds, {}, "/"), lambda _stream, _data: None)


__all__ = ["CGROUPS", "Kernel", "Result", "VMError", "VMTimeout", "prepare", "run"]

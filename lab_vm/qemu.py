"""qemu's command line, and whether the processor's virtualisation (KVM) can be used."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab_vm.errors import VMError
from lab_vm.kernel import Kernel


@dataclass(frozen=True)
class _Board:
    """What differs between processors: the program, its board, the console's name."""

    program: str
    machine: str
    console: str
    package: str


# panic=-1: a kernel that gave up ends qemu (-no-reboot) instead of standing still until the time is up. The second line is
# for speed: half of the time to user space is spent on what guards a kernel against others, and on self-tests.
_KERNEL_OPTIONS = (
    "rdinit=/init loglevel=4 panic=-1 "
    "mitigations=off nokaslr init_on_alloc=0 audit=0 cryptomgr.notests"
)  # fmt: skip

BOARDS = {
    "x86_64": _Board("qemu-system-x86_64", "pc", "ttyS0", "qemu-system-x86"),
    "aarch64": _Board("qemu-system-aarch64", "virt", "ttyAMA0", "qemu-system-arm"),
}


def board() -> _Board:
    """This machine's. Raises VMError for a processor that has none here."""
    try:
        return BOARDS[platform.machine()]
    except KeyError:
        raise VMError(f"no virtual machine for {platform.machine()}, only for {' and '.join(BOARDS)}") from None


def command(
    kernel: Kernel,
    *,
    accel: str,
    cpus: int,
    memory: int,
    image: Path,
    project: Path,
    initramfs: int,
    control: int,
    console: int,
) -> Sequence[str]:
    """The argument list. `memory` in bytes; `initramfs` is a descriptor to read, `control` and `console` are sockets."""
    here = board()
    program = shutil.which(here.program)
    if program is None:
        raise VMError(f"{here.program} is missing (package {here.package})")
    return [
        # qemu dies with us, also when we are killed
        *("setpriv", "--pdeathsig", "KILL", "--", program),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", here.machine, "-accel", "kvm" if accel == "kvm" else "tcg,thread=multi"),
        *("-cpu", "host" if accel == "kvm" else "max", "-smp", str(cpus), "-m", f"{memory >> 20}M"),
        *("-kernel", str(kernel.image), "-initrd", f"/proc/self/fd/{initramfs}"),
        *("-append", f"console={here.console} {_KERNEL_OPTIONS}"),
        *("-chardev", f"socket,id=console,fd={console}", "-serial", "chardev:console"),
        *("-drive", f"if=none,id=root,file={_escaped(image)},format=raw,snapshot=on"),
        *("-device", "virtio-blk-pci,drive=root"),
        *_share("project", project),
        *_share("modules", kernel.modules),
        *("-device", "virtio-serial-pci", "-chardev", f"socket,id=control,fd={control}"),
        *("-device", "virtserialport,chardev=control,name=lab"),
    ]


def _share(tag: str, path: Path) -> tuple[str, ...]:
    options = "security_model=none,readonly=on,multidevs=remap"
    return ("-virtfs", f"local,path={_escaped(path)},mount_tag={tag},{options}")


def _escaped(path: Path) -> str:
    """A comma in one of qemu's option values is doubled."""
    return os.fspath(path).replace(",", ",,")

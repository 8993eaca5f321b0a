"""The initramfs of one run: busybox, the drivers without which nothing is reached, the init, and what the guest shall run."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from lab_vm.cpio import Archive
from lab_vm.errors import VMError
from lab_vm.kernel import Kernel

HERE = Path(__file__).parent
# The disk, the port, 9p and what the root is mounted with. All others are loaded when somebody asks for them.
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "9pnet_virtio", "9p", "crc32c_generic", "ext4", "overlay")


def initramfs(kernel: Kernel, settings: Mapping[str, str], request: Mapping[str, object]) -> bytes:
    """A cpio archive for ``qemu -initrd``.

    `settings` are shell variables for the init (PROJECT, ENVIRONMENT, CGROUP), `request` is what guest.py runs.
    Raises VMError when there is no static busybox or the kernel lacks a driver.
    """
    busybox = shutil.which("busybox")
    if busybox is None:
        raise VMError("busybox is missing (package busybox-static)")
    archive = Archive()
    for folder in ("bin", "dev", "lab", "lab/modules"):
        archive.folder(folder)
    archive.node("dev/console", 5, 1)
    archive.file("bin/busybox", Path(busybox).read_bytes(), executable=True)
    archive.link("bin/sh", "busybox")
    for number, module in enumerate(kernel.modules_for(*MODULES)):
        archive.file(f"lab/modules/{number:02}-{module.name}", module.read_bytes())
    archive.file("lab/settings", "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()).encode())
    archive.file("lab/request.json", json.dumps(request).encode())
    archive.file("lab/guest.py", (HERE / "guest.py").read_bytes())
    archive.file("init", (HERE / "init").read_bytes(), executable=True)
    return archive.data()

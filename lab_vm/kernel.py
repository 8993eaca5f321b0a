"""A stock kernel out of its Debian package: fetched and unpacked into the cache, never installed.

``linux-image-amd64`` is an empty package that depends on the one of today, ``linux-image-6.1.0-56-amd64``; there, and in
Ubuntu's ``linux-modules-…``, are the files. What a virtual machine with containers has no use for (graphics, sound, wireless …)
is left out: 400 MB become 100.
"""

from __future__ import annotations

import lzma
import os
import platform
import re
import shutil
import struct
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab_vm import cache
from lab_vm.errors import VMError

# Machine (uname -m) → Debian's kernel of today. The -cloud- flavours are smaller, but have no 9p.
PACKAGES = {"x86_64": "linux-image-amd64", "aarch64": "linux-image-arm64"}
_WANTED = re.compile(r"\./(?:boot/(?P<image>vmlinuz-.+)|(?:usr/)?lib/modules/(?P<module>[^/]+/.+))")
_UNWANTED = re.compile(
    r"/kernel/(?:sound/|drivers/(?!virtio/|block/|net/[^/]+$|net/(?:ipvlan|macvlan|bonding)/|char/|md/|scsi/))"
)


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel.

    `package` is the name it was asked for by, `release` what ``uname -r`` will say, `image` the file to boot, `modules` a
    directory that belongs at /lib/modules.
    """

    package: str
    release: str
    image: Path
    modules: Path

    def modules_for(self, *names: str) -> list[Path]:
        """The files of modules `names` and of all that these need, in the order to load them; built-in ones need none.

        Raises VMError for a name that this kernel does not have.
        """
        folder = self.modules / self.release
        built_in = {_name(line) for line in (folder / "modules.builtin").read_text().split()}
        needs, files = {}, {}
        for line in (folder / "modules.dep").read_text().splitlines():
            file, _, rest = line.partition(":")
            files[_name(file)] = folder / file
            needs[_name(file)] = [_name(word) for word in rest.split()]
        found: dict[str, Path] = {}
        for name in names:
            if name not in built_in and name not in files:
                raise VMError(f"the kernel of {self.package} ({self.release}) has no {name}")
            for each in reversed([name, *needs.get(name, [])]):  # modules.dep names what to load first last
                if each not in built_in:
                    found[each] = files[each]
        return list(found.values())


def _name(path: str) -> str:
    return Path(path).name.partition(".")[0].replace("-", "_")


def find_kernel(package: str | None = None) -> Kernel:
    """The kernel of `package`, by default this machine's architecture's; from the cache, or fetched (apt-get download).

    A kernel stays the one that was fetched first; ``python -m lab_vm clean`` forgets it. Raises VMError.
    """
    package = package or PACKAGES.get(platform.machine(), "")
    if not re.fullmatch(r"linux-image-[a-z0-9.+-]+", package):
        raise VMError(f"no kernel package {package!r}: a name like {' or '.join(PACKAGES.values())} is wanted")
    place = cache.made(cache.directory() / "kernels" / package, lambda half: _fetch(package, half))
    return Kernel(package, (place / "release").read_text(), place / "vmlinuz", place / "lib/modules")


def _fetch(package: str, place: Path) -> None:
    (place / "lib/modules").mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="minidock-vm-") as work:
        waiting, seen = [package], set()
        while waiting:
            name = waiting.pop()
            seen.add(name)
            archive = _download(name, Path(work))
            depends = _run("dpkg-deb", "--field", str(archive), "Depends").decode()
            waiting += [n for n in re.findall(r"linux-(?:image|modules)-[a-z0-9.+-]+", depends) if n not in seen]
            _unpack(archive, place)
    releases = os.listdir(place / "lib/modules")
    if len(releases) != 1 or not (place / "vmlinuz").exists():
        raise VMError(f"{package} holds no kernel with its modules (found: {releases})")
    (place / "vmlinuz").write_bytes(unpacked((place / "vmlinuz").read_bytes()))
    _run("busybox", "depmod", "-b", str(place), releases[0])
    (place / "release").write_text(releases[0])


def unpacked(image: bytes) -> bytes:
    """The ELF kernel inside an xz-packed bzImage, which qemu boots too (PVH); any other image as it is.

    A guest under TCG would need four seconds to unpack itself. Source: the kernel's Documentation/arch/x86/boot.rst
    (setup_sects, payload_offset, payload_length).
    """
    if image[0x202:0x206] != b"HdrS":
        return image
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (image[0x1F1] + 1) * 512 + offset
    payload = image[start : start + length]
    if not payload.startswith(b"\xfd7zXZ"):
        return image
    return lzma.LZMADecompressor().decompress(payload)  # behind the stream stands its unpacked length


def _download(name: str, work: Path) -> Path:
    """Fetch one package into `work`, with the package lists renewed if they name a file that is there no more."""
    fetch = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=1", "download", name)
    try:
        _run(*fetch, cwd=work)
    except VMError:
        _run("apt-get", "-qq", "update")
        _run(*fetch, cwd=work)
    return next(work.glob(f"{name}_*.deb"))


def _unpack(archive: Path, place: Path) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as unpacker:
        with tarfile.open(fileobj=unpacker.stdout, mode="r|") as tar:
            for member in tar:
                match = _WANTED.fullmatch(member.name)
                if not match or not member.isfile() or _UNWANTED.search(member.name):
                    continue
                target = place / "vmlinuz" if match["image"] else place / "lib/modules" / match["module"]
                target.parent.mkdir(parents=True, exist_ok=True)
                source = tar.extractfile(member)
                assert source is not None  # a regular file
                if target.suffix == ".xz":  # Debian 13's modules: busybox would have to unpack them at each boot
                    target.with_suffix("").write_bytes(lzma.decompress(source.read()))
                else:
                    with open(target, "wb") as out:
                        shutil.copyfileobj(source, out)
    if unpacker.returncode:
        raise VMError(f"unpack {archive.name}: dpkg-deb ended with {unpacker.returncode}")


def _run(*command: str, cwd: Path | None = None) -> bytes:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    except FileNotFoundError as e:
        raise VMError(f"{command[0]} is missing") from e
    except subprocess.CalledProcessError as e:
        raise VMError(f"{' '.join(command)}: {e.stderr.decode(errors='replace').strip()}") from e
    return done.stdout

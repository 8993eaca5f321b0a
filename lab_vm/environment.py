"""The guest's root file system: this machine's own programs and Python packages, as one image.

Nothing is downloaded. The image holds the files of a few of the Debian packages that are installed here, with all they depend
on, and the Python environment without what only a developer's desk needs::

    image (ext4, without a journal)
      usr/ bin → usr/bin …       of PACKAGES and their dependencies, as dpkg lists them, without manuals and translations
      etc/                       their configuration, users, alternatives
      environment/               sys.prefix (.venv), without UNWANTED; the init binds it where it is on the host
      proc sys dev run tmp …     empty, to mount on

It is opened read-only: what a guest writes goes to a temporary file of its own (qemu's ``snapshot=on``). Its name in the cache
is a hash over the names, sizes and times of all that went in, so another package, another pin, another image.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lab_vm import cache
from lab_vm.errors import VMError

# Beside what is essential: what the engine, its tests and the chapters call.
PACKAGES = (
    "python3",
    "python3-venv",
    "libseccomp2",
    "busybox-static",
    "iproute2",
    "iptables",
    "nftables",
    "util-linux",
    "mount",
    "e2fsprogs",
    "procps",
    "psmisc",
    "stress",
    "stress-ng",
    "iperf3",
    "fio",
    "strace",
)
# Of the environment: browsers, checkers and servers stay on the host.
UNWANTED = (
    "playwright",
    "greenlet",
    "mypy",
    "ruff",
    "pip",
    "setuptools",
    "jupyterlab",
    "jupyter-builder",
    "debugpy",
    "jedi",
    "babel",
)
_NOT_COPIED = re.compile(r"/usr/share/(?:doc|man|info|locale|i18n|lintian|bash-completion)/|/usr/(?:include|src)/")
_FORMAT = 1  # part of the key: goes up when the layout of the image changes
_ROOM = 4 << 30  # bytes of free space that the guest's root has; they cost nothing until they are written
_FOLDERS = ("proc", "sys", "dev", "run", "tmp", "root", "var/lib", "var/tmp", "var/log", "mnt", "environment")
_KEPT = 3  # images of other checkouts or of yesterday that stay in the cache


def image() -> Path:
    """The image of this machine's environment as it is now, from the cache or built (some seconds). Raises VMError."""
    files = dict(_selection())
    digest = hashlib.sha256(f"{_FORMAT} {_ROOM}".encode())
    for target in sorted(files):
        info = os.lstat(files[target])
        digest.update(f"{target}\0{info.st_mode}\0{info.st_size}\0{info.st_mtime_ns}\0".encode(errors="surrogateescape"))
    folder = cache.directory() / "environments"
    place = cache.made(folder / f"{digest.hexdigest()[:16]}.ext4", lambda half: _build(files, half))
    os.utime(place)  # in use: not the next to go
    for old in sorted(folder.glob("*.ext4"), key=os.path.getmtime, reverse=True)[_KEPT:]:
        cache.remove(old)  # one that a guest still runs on stays until it is closed
    return place


def _selection() -> Iterator[tuple[str, str]]:
    """(path in the image, path here) of every file and link that goes in."""
    for path in _package_files(sorted(_closure(PACKAGES))):
        yield from _with_bytecode(path)
    for directory in ("/usr/bin", "/usr/sbin", "/etc/alternatives"):  # links that the packages' scripts made
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_symlink() and (directory == "/etc/alternatives" or "/etc/alternatives/" in os.readlink(entry)):
                    yield entry.path[1:], entry.path
    for path in ("/bin", "/sbin", "/lib", "/lib64"):
        if os.path.islink(path):
            yield path[1:], path
    for path in ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/etc/ld.so.cache", "/etc/ld.so.conf"):
        if os.path.exists(path):
            yield path[1:], path
    yield from _python_environment()


def _closure(wanted: tuple[str, ...]) -> set[str]:
    """Installed packages: `wanted` as far as they are here, the essential ones, and what these depend on."""
    query = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package}\t${db:Status-Status}\t${Essential}\t${Provides}\t${Pre-Depends}, ${Depends}\n"],
        capture_output=True,
        check=True,
        text=True,
    )
    depends: dict[str, list[str]] = {}
    providers: dict[str, list[str]] = {}
    waiting = list(wanted)
    for line in query.stdout.splitlines():
        name, status, essential, provides, needs = line.split("\t")
        if status != "installed":
            continue
        depends[name] = _names(needs)
        for virtual in _names(provides):
            providers.setdefault(virtual, []).append(name)
        if essential == "yes":
            waiting.append(name)
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in depends and name not in found:
            found.add(name)
            waiting += depends[name]
        elif name not in depends:
            waiting += [p for p in providers.get(name, []) if p not in found]
    return found - {"debconf", "perl-base", "apt"}  # for packages' scripts only: none runs in the guest


def _names(relations: str) -> list[str]:
    """The package names in a Depends field, of alternatives all: those that are not installed are passed over later."""
    return [m[1] for part in re.split(r"[,|]", relations) if (m := re.match(r"\s*([a-z0-9][a-z0-9+.-]*)", part))]


def _package_files(packages: list[str]) -> Iterator[str]:
    """Paths of the packages' files and links, in today's /usr: /bin/ls is /usr/bin/ls."""
    listed = subprocess.run(["dpkg-query", "-L", *packages], capture_output=True, check=True, text=True).stdout
    real = functools.cache(os.path.realpath)
    for line in listed.splitlines():
        if not line.startswith("/") or _NOT_COPIED.match(line):  # "diverted by …" lines are no paths
            continue
        folder, name = os.path.split(line)
        path = os.path.join(real(folder), name)
        if os.path.islink(path) or os.path.isfile(path):
            yield path


def _with_bytecode(path: str) -> Iterator[tuple[str, str]]:
    """A file, and for a Python module what was compiled of it: the guest shall not compile the standard library anew."""
    yield path[1:], path
    if path.endswith(".py"):
        compiled = importlib.util.cache_from_source(path)
        if os.path.exists(compiled):
            yield compiled[1:], compiled


def _python_environment() -> Iterator[tuple[str, str]]:
    """The files of sys.prefix, as ``environment/…``."""
    if sys.prefix == sys.base_prefix:
        raise VMError("start lab_vm with the project's Python environment (./lab makes it), not with the system's Python")
    if sys.base_prefix != "/usr":
        raise VMError(f"the environment {sys.prefix} was not made by the system's Python, but by the one in {sys.base_prefix}")
    unwanted = {path for name in UNWANTED for path in _distribution_files(name)}
    for folder, names, files_here in os.walk(sys.prefix):
        links = [name for name in names if os.path.islink(os.path.join(folder, name))]
        for path in (os.path.join(folder, name) for name in files_here + links):
            if path not in unwanted:
                yield f"environment{path.removeprefix(sys.prefix)}", path


def _distribution_files(name: str) -> Iterator[str]:
    """Paths of what pip installed for `name`; none when it is not there."""
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return
    top = str(distribution.locate_file(""))
    for row in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        yield os.path.normpath(os.path.join(top, row[0]))


def _build(files: dict[str, str], image: Path) -> None:
    """Copy everything into a folder, and that into a file system."""
    tree = image.with_suffix(".tree")
    cache.remove(tree)
    try:
        for folder in _FOLDERS:
            (tree / folder).mkdir(parents=True, exist_ok=True)
        os.chmod(tree / "tmp", 0o1777)
        for target, source in sorted(files.items()):  # links to folders (bin → usr/bin) have no entry below them
            _copy(source, tree, target)
        with open(image, "wb") as out:
            out.truncate(_room(files))
        command = ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", "lazy_itable_init=1", "-m", "0", "-d"]
        done = subprocess.run([*command, tree, image], capture_output=True, text=True, check=False)
        if done.returncode:
            raise VMError(f"mkfs.ext4 of the environment: {done.stderr.strip()}")
    finally:
        cache.remove(tree)


def _room(files: dict[str, str]) -> int:
    """Bytes that the image shall have, in whole megabytes."""
    return (_ROOM + sum(os.lstat(source).st_size + 4096 for source in files.values())) >> 20 << 20


def _copy(source: str, tree: Path, path: str) -> None:
    """One file or link to `path` below `tree`, with its owner, mode and times."""
    if os.path.isabs(path):  # Path's / would leave the tree, and we are root
        raise ValueError(f"a path inside the image is wanted, not {path}")
    target = tree / path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target, follow_symlinks=False)
    info = os.lstat(source)
    os.chown(target, info.st_uid, info.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(target, stat.S_IMODE(info.st_mode))

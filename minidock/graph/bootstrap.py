"""``minidock bootstrap``: the two base images, from this machine's own files, without any network.

* ``busybox:latest``: Debian's static busybox with a link for every applet, and the few files a root file system needs.
* ``lab:latest``: the same, and what the experiments use: Python with its standard library, stress, stress-ng, iperf3, fio, ip,
  each with the libraries that ldd(1) names.

The same files give the same tar and so the same image id, everywhere. ``ROOT/bootstrap.json`` keeps, for each image, the state
(size and time) of every file and folder that went into it: when nothing changed, nothing is done, in milliseconds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from minidock.errors import NotFound, NotSupported
from minidock.graph import hostfiles
from minidock.graph.hostfiles import Tree
from minidock.graph.import_ import import_
from minidock.graph.store import ImageStore
from minidock.linux.files import flock, write_atomic

IMAGES = ("busybox", "lab")
RECIPE = 1  # raised when the recipes below change what they make
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ("stress", "stress-ng", "iperf3", "fio", "ip")
Progress = Callable[[str], None]

_PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
_GROUP = """\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
wheel:x:10:root
www-data:x:33:
operator:x:37:
nogroup:x:65534:
"""
_FILES = {
    "etc/passwd": (0o644, _PASSWD),
    "etc/group": (0o644, _GROUP),
    "etc/shadow": (0o640, "root:*::0:::::\n"),
    "etc/nsswitch.conf": (0o644, "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"),
    "etc/hosts": (0o644, "127.0.0.1\tlocalhost\n"),
    "etc/hostname": (0o644, ""),
    "etc/resolv.conf": (0o644, ""),
}
_DIRECTORIES = {
    **dict.fromkeys(("bin", "dev", "etc", "home", "proc", "sys", "usr/bin", "usr/sbin", "var/www"), 0o755),
    **dict.fromkeys(("run", "sbin", "mnt", "opt", "lib", "usr/local/bin", "var/log"), 0o755),
    **dict.fromkeys(("tmp", "var/tmp"), 0o1777),
    "root": 0o700,
}


def bootstrap(store: ImageStore, progress: Progress = lambda _line: None, images: Sequence[str] = IMAGES) -> None:
    """Make or refresh the `images`; `progress` gets one line for each step. Safe to run in several processes at once.

    Raises NotSupported when busybox is not installed; SystemFault; KeyError for an image without a recipe. A missing tool is
    said, and left out.
    """
    recipes = {"busybox": busybox, "lab": lab}
    with flock(os.path.join(store.root, "bootstrap.lock")):
        for name in images:
            _refresh(store, f"{name}:latest", recipes[name], progress)


def _refresh(store: ImageStore, name: str, recipe: Callable[[Progress], Tree], progress: Progress) -> None:
    state = _load(store)
    known = state.get(name, {})
    if known.get("recipe") == RECIPE and _is(store, name, known.get("image")) and hostfiles.unchanged(known["sources"]):
        progress(f"{name}: up to date")
        return
    start = time.monotonic()
    tree = recipe(progress)
    image = import_(
        store,
        tree.tar(),
        name,
        message="minidock bootstrap",
        created=datetime.fromtimestamp(tree.time, UTC).isoformat().replace("+00:00", "Z"),
        config={"Cmd": ["sh"], "Env": [f"PATH={PATH}"]},
    )
    state[name] = {"recipe": RECIPE, "image": image.id, "sources": tree.sources}
    write_atomic(_path(store), json.dumps(state))
    progress(f"{name}: {image.size / 1e6:.1f} MB in {time.monotonic() - start:.1f} s")


def _path(store: ImageStore) -> str:
    return os.path.join(store.root, "bootstrap.json")


def _load(store: ImageStore) -> dict[str, Any]:
    try:
        with open(_path(store), "rb") as file:
            state: dict[str, Any] = json.load(file)
            return state
    except FileNotFoundError:
        return {}


def _is(store: ImageStore, name: str, image_id: str | None) -> bool:
    """Whether the reference still means the image that we made."""
    try:
        return store.get(name).id == image_id
    except NotFound:
        return False


def busybox(_progress: Progress) -> Tree:
    """The tree of ``busybox:latest``."""
    binary = hostfiles.find("busybox")
    if binary is None or hostfiles.libraries([binary]):
        raise NotSupported("bootstrap needs a static busybox: apt-get install busybox-static")
    tree = Tree()
    for path, mode in _DIRECTORIES.items():
        tree.directory(path, mode)
    for path, (mode, text) in _FILES.items():
        tree.text(path, text, mode)
    tree.copy("bin/busybox", binary)
    for applet in hostfiles.applets(binary):
        tree.hard_link(f"bin/{applet}", "bin/busybox")
    return tree


def lab(progress: Progress) -> Tree:
    """The tree of ``lab:latest``."""
    tree = busybox(progress)
    binaries = []
    for tool in TOOLS:
        path = hostfiles.find(tool)
        if path is None:
            progress(f"lab:latest: {tool} is not installed on this machine: left out")
            continue
        tree.copy(f"usr/bin/{tool}", path)
        binaries.append(path)
    binaries += hostfiles.python(tree)
    for library in hostfiles.libraries(binaries):
        tree.copy(library.lstrip("/"), library)
    return tree

"""pack and extract are each other's inverse, whiteouts included; the same tree gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minidock.graph import archive
from minidock.graph.archive import TarStream, Whiteouts
from minidock.graph.export import diff, export
from minidock.graphdriver.overlay import Overlay
from minidock.graphdriver.scratch import Scratch
from minidock.graphdriver.tree import walk
from minidock.graphdriver.vfs import Vfs

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


def seen(top: Path) -> list[tuple[object, ...]]:
    """Everything that a layer must keep of a tree."""
    found = []
    inodes: dict[int, str] = {}
    for path, s in walk(str(top)):
        if not path:
            continue
        full = top / path
        kind = stat.S_IFMT(s.st_mode)
        data = full.read_bytes() if kind == stat.S_IFREG else os.readlink(full) if kind == stat.S_IFLNK else ""
        xattrs = {n: os.getxattr(full, n) for n in os.listxattr(full, follow_symlinks=False)} if kind != stat.S_IFLNK else {}
        first = inodes.setdefault(s.st_ino, path)
        found.append((path, s.st_mode, s.st_uid, s.st_gid, s.st_rdev, s.st_mtime_ns, data, xattrs, first))
    return found


def unpacked(data: bytes, into: Path, whiteouts: Whiteouts = Whiteouts.LITERAL) -> Path:
    into.mkdir()
    archive.extract(TarStream(io.BytesIO(data)), into, whiteouts=whiteouts, devices=True)
    return into


def test_a_tree_with_everything(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    (top / "dir/deeper").mkdir(parents=True)
    (top / "dir/file").write_bytes(os.urandom(3_000_001))
    (top / "empty").touch()
    os.link(top / "dir/file", top / "second name")
    (top / "link").symlink_to("dir/../file ü")
    os.link(top / "link", top / "link's second name", follow_symlinks=False)
    os.mkfifo(top / "fifo", 0o622)
    os.mknod(top / "dev", stat.S_IFBLK | 0o640, os.makedev(259, 70000))
    os.makedirs(top / "/".join(["long" * 25] * 5))
    (top / ("n" * 255)).write_text("x")
    Path(os.fsdecode(os.fsencode(top) + b"/\xff not text \xe4")).write_text("x")
    (top / ".wh.literal").write_text("kept as it is")
    (top / "suid").write_text("x")
    os.chown(top / "suid", 3_000_000, 65534)
    os.chmod(top / "suid", 0o6755)
    os.setxattr(top / "suid", "security.capability", CAPABILITY)
    os.setxattr(top / "dir", "user.bytes", b"\xff\0=\n\xe4")
    os.utime(top / "empty", ns=(1, 1_700_000_000_123_456_789))
    os.utime(top / "dir/deeper", ns=(1, 5))
    os.utime(top / "link", ns=(1, 7 * 10**9), follow_symlinks=False)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(top / "socket"))
    data = b"".join(archive.pack(top))
    copy = unpacked(data, tmp_path / "copy")
    (top / "socket").unlink()
    assert seen(copy) == seen(top)
    assert hashlib.sha256(b"".join(archive.pack(copy))).digest() == hashlib.sha256(data).digest()
    with tarfile.open(fileobj=io.BytesIO(data)) as other:  # somebody else reads it too
        assert "dir/file" in other.getnames()


NAME = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=6).filter(
    lambda n: n not in (".", "..") and not n.startswith(".wh.") and len(n.encode()) < 200
)
TREE = st.recursive(
    st.one_of(st.binary(max_size=1500), NAME.map(lambda n: ("link", n))),
    lambda inner: st.dictionaries(NAME, inner, max_size=4),
    max_leaves=10,
)


def build(top: Path, tree: object) -> None:
    for name, node in tree.items() if isinstance(tree, dict) else ():
        path = top / name
        if isinstance(node, dict):
            path.mkdir()
            build(path, node)
        elif isinstance(node, tuple):
            path.symlink_to(node[1])
        else:
            path.write_bytes(node)
            os.chmod(path, 0o600 | len(node) % 0o200)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAME, TREE, max_size=4))
def test_any_tree(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, object]) -> None:
    """Whatever a tree consists of, packing and unpacking loses nothing of it."""
    top = tmp_path_factory.mktemp("tree")
    build(top, tree)
    data = b"".join(archive.pack(top))
    copy = unpacked(data, tmp_path_factory.mktemp("copies") / "copy", Whiteouts.OVERLAY)
    assert seen(copy) == seen(top)


@pytest.mark.parametrize("kind", [Overlay, Vfs])
@pytest.mark.parametrize("target", [Overlay, Vfs])
def test_a_layers_changes_move_between_drivers(tmp_path: Path, kind: type[Overlay | Vfs], target: type[Overlay | Vfs]) -> None:
    """commit on one driver, load on another: the same tree, the same changes."""
    a, b = kind(tmp_path / "a"), target(tmp_path / "b")
    for driver in (a, b):
        tree = driver.create("base", None)
        for name in ("keep/x", "gone/x", "opaque/old", "changed/x", "file"):
            (tree / name).parent.mkdir(exist_ok=True)
            (tree / name).write_text(name)
            os.utime(tree / name, ns=(1, 1))
    a.create("child", "base")
    with a.mounted("child", readonly=False) as root:
        (root / "gone/x").unlink()
        (root / "gone").rmdir()
        (root / "opaque/old").unlink()
        (root / "opaque").rmdir()
        (root / "opaque").mkdir()
        (root / "opaque/new").write_text("n")
        (root / "changed/x").write_text("!")
        (root / "file").unlink()
    tree = b.create("child", "base")
    mode = Whiteouts.OVERLAY if target is Overlay else Whiteouts.APPLY
    archive.extract(TarStream(io.BytesIO(b"".join(diff(a, "child")))), tree, whiteouts=mode)
    with a.mounted("child") as one, b.mounted("child") as two:
        assert [entry[:1] + entry[6:7] for entry in seen(one)] == [entry[:1] + entry[6:7] for entry in seen(two)]
        assert os.listdir(two / "opaque") == ["new"]
    expected = ["C /changed", "C /changed/x", "D /file", "D /gone", "C /opaque", "A /opaque/new", "D /opaque/old"]
    assert [f"{c.kind} {c.path}" for c in a.changes("child")] == expected
    assert [f"{c.kind} {c.path}" for c in b.changes("child")] == expected
    with tarfile.open(fileobj=io.BytesIO(b"".join(export(b, "child")))) as tar:
        names = tar.getnames()
    assert names == ["changed", "changed/x", "keep", "keep/x", "opaque", "opaque/new"]
    Scratch.of(tmp_path / "tmp").close()


def test_a_tree_that_changes_while_it_is_packed(tmp_path: Path) -> None:
    """Links put in the way of a reader lead nowhere; a file that shrinks is filled up."""
    top = tmp_path / "tree"
    (top / "a").mkdir(parents=True)
    (top / "a/file").write_bytes(b"x" * 3_000_000)
    (top / "b").mkdir()
    (top / "b/secret").write_text("inside")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("outside")
    pieces = archive.pack(top)
    data = next(pieces) + next(pieces)  # a, and the header of a/file
    os.truncate(top / "a/file", 10)
    os.rename(top / "b", top / "c")
    (top / "b").symlink_to(outside)
    data += b"".join(pieces)
    assert b"outside" not in data
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.extractfile("a/file").read() == b"x" * 10 + bytes(3_000_000 - 10)  # type: ignore[union-attr]

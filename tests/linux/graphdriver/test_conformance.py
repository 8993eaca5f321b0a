"""What every graph driver promises (minidock/graphdriver/__init__.py), tried with real trees on the real kernel."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from minidock.errors import Conflict, InvalidParameter, SystemFault
from minidock.graphdriver import Change, GraphDriver
from minidock.graphdriver.scratch import Scratch


def base(driver: GraphDriver, id: str = "base") -> Path:
    """A layer with a bit of everything."""
    tree = driver.create(id, None)
    (tree / "etc").mkdir()
    (tree / "etc/passwd").write_text("root\n")
    (tree / "etc/group").write_text("wheel\n")
    (tree / "dir/sub").mkdir(parents=True)
    (tree / "dir/a").write_text("a")
    (tree / "dir/sub/b").write_text("b")
    (tree / "link").symlink_to("/etc/passwd")
    os.link(tree / "dir/a", tree / "dir/hard")
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(tree / "fifo")
    (tree / "owned").write_text("x")
    os.chown(tree / "owned", 1000, 1001)
    os.chmod(tree / "owned", 0o4750)
    os.setxattr(tree / "owned", "user.note", b"hello\0world")
    with open(tree / "sparse", "wb") as f:
        f.truncate(64 << 20)
        f.seek(32 << 20)
        f.write(b"data")
    os.utime(tree / "dir", ns=(10**18 + 1, 10**18 + 2))
    return tree


def letters(changes: object) -> list[str]:
    return [f"{c.kind} {c.path}" for c in changes]  # type: ignore[attr-defined]


def test_a_layer_appears_and_goes(driver: GraphDriver) -> None:
    assert not driver.exists("one")
    driver.create("one", None)
    assert driver.exists("one")
    driver.remove("one")
    assert not driver.exists("one")
    driver.remove("one")  # again is no error


def test_a_second_layer_of_that_name_is_a_conflict(driver: GraphDriver) -> None:
    (driver.create("one", None) / "kept").write_text("x")
    with pytest.raises(Conflict):
        driver.create("one", None)
    with driver.mounted("one") as root:
        assert (root / "kept").exists()


@pytest.mark.parametrize("id", ["", ".", "..", "a/b", "../x", "a:b", "-x", "a\0b"])
def test_an_id_is_a_plain_name(driver: GraphDriver, id: str) -> None:
    with pytest.raises(InvalidParameter):
        driver.create(id, None)
    with pytest.raises(InvalidParameter):
        driver.remove(id)


def test_a_parent_must_exist(driver: GraphDriver) -> None:
    with pytest.raises(InvalidParameter):
        driver.create("child", "nobody")
    assert not driver.exists("child")
    with pytest.raises(InvalidParameter):
        driver.root("nobody")


def test_a_child_shows_its_parent_faithfully(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    with driver.mounted("child") as root:
        assert (root / "etc/passwd").read_text() == "root\n"
        assert os.readlink(root / "link") == "/etc/passwd"
        assert (root / "dir/a").stat().st_ino == (root / "dir/hard").stat().st_ino
        assert (root / "null").stat().st_rdev == os.makedev(1, 3)
        assert stat.S_ISFIFO((root / "fifo").stat().st_mode)
        owned = (root / "owned").stat()
        assert (owned.st_uid, owned.st_gid, stat.S_IMODE(owned.st_mode)) == (1000, 1001, 0o4750)
        assert os.getxattr(root / "owned", "user.note") == b"hello\0world"
        assert (root / "dir").stat().st_mtime_ns == 10**18 + 2
        sparse = (root / "sparse").stat()
        assert sparse.st_size == 64 << 20
        assert sparse.st_blocks * 512 < 1 << 20


def test_read_only_means_it(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    for id in ("base", "child"):
        with driver.mounted(id) as root, pytest.raises(OSError, match="Read-only"):
            (root / "new").write_text("x")
    with driver.mounted("child", readonly=False) as root:  # the control: writing does work when asked for
        (root / "new").write_text("x")
    with driver.mounted("child") as root:
        assert (root / "new").read_text() == "x"


def test_what_a_child_writes_stays_in_the_child(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    with driver.mounted("child", readonly=False) as root:
        (root / "etc/passwd").write_text("changed\n")
        (root / "dir/a").unlink()
        shutil.rmtree(root / "dir/sub")
    with driver.mounted("base") as root:
        assert (root / "etc/passwd").read_text() == "root\n"
        assert (root / "dir/a").exists()
        assert (root / "dir/sub/b").exists()
    with driver.mounted("child") as root:
        assert (root / "etc/passwd").read_text() == "changed\n"
        assert not (root / "dir/a").exists()
        assert not (root / "dir/sub").exists()


def test_changes_in_dockers_letters(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    assert letters(driver.changes("child")) == []
    with driver.mounted("child", readonly=False) as root:
        (root / "etc/passwd").write_text("changed\n")
        (root / "new/deep").mkdir(parents=True)
        (root / "new/deep/file").write_text("x")
        (root / "dir/sub/b").unlink()
        os.chmod(root / "null", 0o600)
    assert letters(driver.changes("child")) == [
        "C /dir",
        "C /dir/sub",
        "D /dir/sub/b",
        "C /etc",
        "C /etc/passwd",
        "A /new",
        "A /new/deep",
        "A /new/deep/file",
        "C /null",
    ]
    assert Change("A", "/etc") in set(driver.changes("base"))


def test_a_directory_made_anew_hides_the_old_one(driver: GraphDriver) -> None:
    """Opaque in overlay; docker's words are the same for both."""
    base(driver)
    driver.create("child", "base")
    with driver.mounted("child", readonly=False) as root:
        shutil.rmtree(root / "dir")
        (root / "dir").mkdir()
        (root / "dir/a").write_text("another")
    with driver.mounted("child") as root:
        assert os.listdir(root / "dir") == ["a"]
    assert letters(driver.changes("child")) == ["C /dir", "C /dir/a", "D /dir/hard", "D /dir/sub"]


def test_renaming_a_directory(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    with driver.mounted("child", readonly=False) as root:
        subprocess.run(["mv", root / "dir", root / "moved"], check=True, cwd=root)
    with driver.mounted("child") as root:
        assert (root / "moved/sub/b").read_text() == "b"
        assert not (root / "dir").exists()
    changes = letters(driver.changes("child"))
    assert "D /dir" in changes
    assert "A /moved/sub/b" in changes
    assert not [line for line in changes if line.startswith("D /dir/")]


def test_a_directory_becomes_a_file_and_back(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    with driver.mounted("child", readonly=False) as root:
        shutil.rmtree(root / "dir")
        (root / "dir").write_text("now a file")
    assert letters(driver.changes("child")) == ["C /dir"]
    driver.create("grandchild", "child")
    with driver.mounted("grandchild", readonly=False) as root:
        (root / "dir").unlink()
        (root / "dir").mkdir()
        (root / "dir/a").write_text("back")
    with driver.mounted("grandchild") as root:
        assert os.listdir(root / "dir") == ["a"]
    assert letters(driver.changes("grandchild")) == ["C /dir", "A /dir/a"]


def test_touching_without_changing_is_no_change(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    with driver.mounted("child", readonly=False) as root, open(root / "etc/passwd", "r+"):
        pass  # overlay copies the file up when it is opened for writing
    assert letters(driver.changes("child")) == []


def test_a_file_capability_is_a_change(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    with driver.mounted("child", readonly=False) as root:
        status = (root / "etc/group").stat()
        os.setxattr(root / "etc/group", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
        os.utime(root / "etc/group", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "C /etc/group" in letters(driver.changes("child"))


def test_125_layers(driver: GraphDriver) -> None:
    """An image may have as many layers as docker's limit, and the topmost wins."""
    parent = None
    for n in range(125):
        tree = driver.create(f"layer{n}", parent)
        (tree / f"file{n}").write_text(str(n))
        (tree / "top").write_text(str(n))
        parent = f"layer{n}"
    driver.create("container", parent)
    with driver.mounted("container", readonly=False) as root:
        assert len(os.listdir(root)) == 126
        assert (root / "top").read_text() == "124"
        (root / "file0").unlink()
    assert letters(driver.changes("container")) == ["D /file0"]


def test_depth_has_an_end_where_the_kernel_needs_one(driver: GraphDriver) -> None:
    if driver.name != "overlay":
        return  # a copy has no depth
    parent = None
    with pytest.raises(InvalidParameter, match="max depth exceeded"):
        for n in range(200):
            driver.create(f"layer{n}", parent)
            parent = f"layer{n}"
    assert parent == "layer128"


def test_the_root_of_a_child_takes_its_parents_mode(driver: GraphDriver) -> None:
    os.chmod(driver.create("base", None), 0o1777)
    driver.create("child", "base")
    with driver.mounted("child") as root:
        assert stat.S_IMODE(os.stat(root).st_mode) == 0o1777


def test_the_owner_of_a_container_layer(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base", owner=(100000, 200000))
    status = os.stat(driver.root("child").upper or driver.root("child").source)
    assert (status.st_uid, status.st_gid) == (100000, 200000)
    assert letters(driver.changes("child")) == []


def test_mounted_ends_when_the_body_raises(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    before = Path("/proc/self/mountinfo").read_text()
    with pytest.raises(ZeroDivisionError), driver.mounted("child") as root:
        assert (root / "etc").exists()
        assert Path("/proc/self/mountinfo").read_text() == before  # nobody else sees it even now
        raise ZeroDivisionError
    assert not root.exists()  # the way in is closed (that no descriptor is left, the leak check says)


def test_removing_takes_what_a_container_can_leave(driver: GraphDriver) -> None:
    """Nesting beyond any path or stack, immutable files, names that are not text."""
    tree = driver.create("one", None)
    fd = os.open(tree, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d" * 10, dir_fd=fd)
        inner = os.open("d" * 10, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    (tree / "locked").mkdir()
    (tree / "locked/file").write_text("x")
    subprocess.run(["chattr", "+i", tree / "locked/file", tree / "locked"], check=True)
    with pytest.raises(PermissionError):  # the control: it does resist
        (tree / "locked/file").unlink()
    (tree / "grows").write_text("x")
    subprocess.run(["chattr", "+a", tree / "grows"], check=True)
    with open(os.fsencode(tree) + b"/\xff\xfe", "w"):
        pass
    driver.remove("one")
    assert not driver.exists("one")


def test_a_full_name_is_said_in_a_fault(driver: GraphDriver, tmp_path: Path) -> None:
    driver.create("one", None)
    home = tmp_path / driver.name
    os.rename(home, tmp_path / "away")
    home.write_text("a file in its place")
    with pytest.raises(SystemFault) as caught:
        driver.create("two", None)
    assert caught.value.errno
    home.unlink()
    os.rename(tmp_path / "away", home)
    assert not driver.exists("two")
    assert os.listdir(Scratch.of(tmp_path / "tmp").path) == []


def test_rows_for_info_and_inspect(driver: GraphDriver) -> None:
    base(driver)
    driver.create("child", "base")
    assert dict(driver.status())["Backing Filesystem"] != "unknown"
    if driver.name == "overlay":
        assert set(driver.metadata("child")) == {"LowerDir", "MergedDir", "UpperDir", "WorkDir"}
        assert "LowerDir" not in driver.metadata("base")

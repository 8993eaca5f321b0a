"""The root file system: what is in it, what is hidden, and that no image can make us mount outside."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from minidock.errors import StartError
from minidock.libcontainer import rootfs, rootmount
from minidock.libcontainer.config import Device, Mount, RootMount
from minidock.linux import mount
from tests.linux.libcontainer.box import MOUNTS, Box


def test_device_nodes_and_links(box: Box) -> None:
    nodes = "cd /dev; stat -c '%n %F %t:%T %a' null zero full random urandom tty extra; "
    links = "for l in fd stdin stdout ptmx; do readlink $l; done"
    out = box.sh(nodes + links, devices=(Device("/dev/extra", "c", 1, 3, 0o640, 5, 6),))
    lines = out.splitlines()
    numbers = ["1:3 666", "1:5 666", "1:7 666", "1:8 666", "1:9 666", "5:0 666", "1:3 640"]
    assert [line.split("file ")[1] for line in lines[:7]] == numbers
    assert lines[7:] == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "pts/ptmx"]


def test_masked_and_read_only_paths(box: Box) -> None:
    # Only what this kernel has can be masked; something of each kind is there on any.
    assert os.path.isdir("/sys/firmware")
    assert Path("/proc/timer_list").exists()
    probe = "ls /sys/firmware | grep -c . ; cat /proc/timer_list | grep -c . ; echo x > /proc/sys/kernel/hostname || true"
    (box.image / "bin/grep").symlink_to("busybox")
    _code, hidden = box.run(box.config("sh", "-c", probe))
    assert hidden.startswith("0\n0\n")
    assert "Read-only file system" in hidden
    _code, seen = box.run(box.config("sh", "-c", probe, masked_paths=(), readonly_paths=()))
    assert not seen.startswith("0\n0\n")
    assert "Read-only" not in seen


def test_a_mask_is_the_containers_own_and_its_inode_stays_as_it_is(box: Box) -> None:
    """Root inside may change its own /dev/null; through a mask it must not reach the host's."""
    before = os.stat("/dev/null")
    script = "stat -c %D /dev/null /proc/timer_list; chmod 600 /proc/timer_list; chmod 600 /dev/null; stat -c %a /dev/null"
    own, mask, refusal, mode = box.sh(script).splitlines()
    assert own == mask != f"{before.st_dev:x}"
    assert "Read-only file system" in refusal
    assert mode == "600"
    assert (os.stat("/dev/null").st_mode, os.stat("/dev/null").st_ctime) == (before.st_mode, before.st_ctime)


def test_the_root_is_the_overlay_and_nothing_of_the_host_is_left(box: Box) -> None:
    table = box.sh("cat /proc/self/mounts").splitlines()
    assert table[0].split()[:3] == ["overlay", "/", "overlay"]
    assert not any(str(box.image.parent) in line for line in table[1:])
    targets = [line.split()[1] for line in table]
    assert targets.count("/") == 1, "the old root is mounted below the new one"
    inside = ("/proc", "/dev", "/sys")
    assert [t for t in targets[1:] if t not in inside and not t.startswith(tuple(f"{top}/" for top in inside))] == []
    box.sh("touch /written")
    assert (box.upper / "written").exists()
    assert str(box.upper) not in Path("/proc/self/mountinfo").read_text()


def test_read_only_root(box: Box) -> None:
    assert "Read-only file system" in box.sh("touch /x; touch /dev/shm/y", readonly_root=True)
    box.sh("touch /x")


@pytest.mark.parametrize("link", ["/etc", "/../../../etc", "../../../../etc", "/proc/self/root/etc"])
@pytest.mark.parametrize("target", ["proc", "sys", "dev"])
def test_a_link_in_the_image_never_leads_a_mount_to_the_host(box: Box, target: str, link: str) -> None:
    (box.image / target).symlink_to(link)
    before = Path("/proc/self/mountinfo").read_text()
    try:
        box.run(box.config("true"))
    except StartError as e:
        assert "ordinary directory" in str(e) or e.errno
    else:
        assert target == "dev"
    assert Path("/proc/self/mountinfo").read_text() == before
    assert not Path("/etc/null").exists()


def test_a_volumes_target_is_resolved_inside_the_root(box: Box, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "file").write_text("v")
    (box.image / "data").symlink_to("/../../../../tmp/there")
    mounts = (*MOUNTS, Mount("/data", source=str(volume), options=("rbind",)))
    with pytest.raises(StartError):  # a dangling link: nothing is made behind it
        box.run(box.config("true", mounts=mounts))
    assert not Path("/tmp/there").exists()
    (box.image / "tmp/there").mkdir(parents=True)
    assert box.sh("cat /tmp/there/file", mounts=mounts) == "v"


@pytest.mark.parametrize("target", ["/proc", "/proc/sys", "/proc/sysrq-trigger", "/proc/nope", "/link/sys", "/link"])
def test_proc_cannot_be_covered(box: Box, tmp_path: Path, target: str) -> None:
    """Over a covered /proc nothing that looks there could be trusted, and a mask could be undone (CVE-2019-16884)."""
    (box.image / "link").symlink_to("/proc")
    (tmp_path / "file").touch()
    source = tmp_path / "file" if target.endswith("trigger") else tmp_path
    with pytest.raises(StartError, match="cannot be mounted because it is"):
        box.sh("true", mounts=(*MOUNTS, Mount(target, "bind", str(source), ("rbind",))))
    if source == tmp_path and target != "/proc/nope":
        with pytest.raises(StartError, match="cannot be mounted because it is"):
            box.sh("true", mounts=(*MOUNTS, Mount(target, "tmpfs", "tmpfs", ())))


def test_of_proc_only_what_lxcfs_covers_and_a_whole_one(box: Box, tmp_path: Path) -> None:
    (tmp_path / "uptime").write_text("7 7\n")
    bind = Mount("/proc/uptime", "bind", str(tmp_path / "uptime"), ("bind",), create="file")
    assert box.sh("cat /proc/uptime", mounts=(*MOUNTS, bind)) == "7 7\n"
    whole = Mount("/proc", "bind", "/proc", ("rbind",))
    assert "init" in box.sh("cat /proc/1/comm; echo init", mounts=(*MOUNTS, whole))


def test_a_directory_on_a_file_is_told(box: Box, tmp_path: Path) -> None:
    for source, target in ((tmp_path, "/etc/passwd"), (Path("/etc/hostname"), "/etc")):
        with pytest.raises(
            StartError, match=r"not a directory: Are you trying to mount a directory onto a file \(or vice-versa\)"
        ):
            box.sh("true", mounts=(*MOUNTS, Mount(target, "bind", str(source), ("bind",))))


def test_bind_mounts_read_only_recursive_file_and_order(box: Box, tmp_path: Path) -> None:
    source = tmp_path / "s"
    (source / "sub").mkdir(parents=True)
    (tmp_path / "f").write_text("file")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source / "sub"], check=True)
    try:
        (source / "sub/below").write_text("")
        ro = Mount("/ro", source=str(source), options=("rbind", "ro"))
        rw = Mount("/rw", source=str(source), options=("bind",))
        one = Mount("/etc/one", source=str(tmp_path / "f"), create="file")
        out = box.sh(
            "ls /ro/sub /rw/sub; touch /ro/x; touch /ro/sub/x; touch /rw/x; cat /etc/one", mounts=(*MOUNTS, ro, rw, one)
        )
    finally:
        subprocess.run(["umount", source / "sub"], check=True)
    assert out.count("Read-only") == 2
    assert out.count("below") == 1
    assert out.endswith("file")
    assert (source / "x").exists()


@pytest.mark.parametrize(("propagation", "arrives"), [("rprivate", False), ("rslave", True)])
def test_propagation(box: Box, tmp_path: Path, propagation: str, arrives: bool) -> None:
    """A mount made on the host after the start is seen inside exactly when the volume is a slave of a shared mount."""
    shared = tmp_path / "shared"
    shared.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", shared], check=True)
    subprocess.run(["mount", "--make-shared", shared], check=True)
    try:
        (shared / "late").mkdir()
        volume = Mount("/v", source=str(shared), options=("rbind",), propagation=propagation)
        config = box.config("sleep", "60", mounts=(*MOUNTS, volume))
        with box.started(config) as (container, _):
            subprocess.run(["mount", "-t", "tmpfs", "late", shared / "late"], check=True)
            try:
                assert ("late" in Path(f"/proc/{container.pid}/mounts").read_text().replace("/v/late", "late")) is arrives
            finally:
                subprocess.run(["umount", shared / "late"], check=True)
    finally:
        subprocess.run(["umount", shared], check=True)


def test_the_overlay_of_old_kernels_is_the_same(box: Box) -> None:
    """mount(2) with its one page of options: with 120 layers of long names."""
    layers = []
    for n in range(120):
        layer = box.image.parent / ("layer" * 10 + str(n))
        layer.mkdir()
        (layer / f"f{n}").write_text("")
        layers.append(str(layer))
    root = RootMount("overlay", tuple(layers), str(box.upper), str(box.work))
    seen = []
    for way in (rootmount.overlay, _classic):
        tree = way(root)
        try:
            seen.append(sorted(os.listdir(f"/proc/self/fd/{tree}")))
        finally:
            os.close(tree)
        shutil.rmtree(box.work)
        box.work.mkdir()
    assert seen[0] == seen[1] == sorted(f"f{n}" for n in range(120))


def test_a_volatile_layer_can_be_mounted_again(box: Box) -> None:
    """The kernel marks it and refuses it from then on; in both ways of mounting the mark is taken away first."""
    root = RootMount("overlay", (str(box.image),), str(box.upper), str(box.work), volatile=True)
    for way in (rootmount.overlay, _classic, rootmount.overlay):
        tree = way(root)
        try:
            assert (box.work / "work/incompat/volatile").is_dir()
            os.close(os.open("kept", os.O_CREAT | os.O_WRONLY, dir_fd=tree))
        finally:
            os.close(tree)
    assert (box.upper / "kept").exists()
    with pytest.raises(OSError):  # the mark means what we think it does
        os.close(rootmount.overlay(root.replace(volatile=False)))


def _classic(root: RootMount) -> int:
    with ExitStack() as undo:
        trees = [mount.open_tree(lower) for lower in root.lower]
        for tree in trees:
            undo.callback(os.close, tree)
        return rootmount.classic(trees, root)


def test_a_plan_reads_as_a_script(box: Box) -> None:
    config = box.config("true", readonly_root=True)
    text = [str(operation) for operation in rootfs.plan(config.replace(cgroup=None), {})]
    assert text[0] == "mount --make-rprivate /"
    assert text[-1] == "pivot_root . . && umount -l ."
    assert "mount -t proc proc ./proc" in text
    assert any("mknod -m 666 ./dev/null c 1 3" in line for line in text)


def test_nodes_outside_dev_and_own_dev_only(box: Box) -> None:
    out = box.sh("stat -c %F /srv/node", devices=(Device("/srv/node", "p", 0, 0, 0o600),))
    assert out.strip() == "fifo"
    assert stat.S_ISFIFO((box.upper / "srv/node").stat().st_mode)

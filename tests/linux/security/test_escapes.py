"""Known ways out of a container, tried through the whole engine: each stays inside, each beside a control that works.

What the core does alone about them is in ``tests/linux/libcontainer``; archives that want out in ``tests/linux/graph``.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from minidock.daemon import open_engine
from minidock.daemon.containers import create, exec, rm, run, start
from minidock.daemon.engine import Engine
from minidock.errors import MinidockError
from minidock.graph.import_ import import_

HOST = {"NetworkMode": "none", "AutoRemove": True}


@pytest.fixture
def engine(root: Path) -> Iterator[Engine]:
    with open_engine(root) as engine:
        yield engine


def sh(engine: Engine, script: str, image: str = "busybox", **config: object) -> str:
    """Output of a shell in a container, both streams."""
    result = run.run(engine, {"Image": image, "Cmd": ["sh", "-c", f"({script}) 2>&1"], **config}, dict(HOST))
    return result.output.decode()


def exec_output(engine: Engine, id: str, *command: str, **config: object) -> bytes:
    """What a command in a running container writes, in the Engine API's frames."""
    asked = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True, **config}
    stream = exec.exec_start(engine, exec.exec_create(engine, id, asked)["Id"])
    assert stream is not None
    with stream, stream.makefile("rb") as file:
        return file.read()


def test_no_working_directory_leads_out(engine: Engine, tmp_path: Path) -> None:
    """CVE-2024-21626: a descriptor of the host's, left open, as the working directory."""
    mark = tmp_path / "of-the-host"
    mark.mkdir()
    left_open = os.open(mark, os.O_RDONLY)
    os.set_inheritable(left_open, True)
    try:
        for number in range(3, 24):
            for path in (f"/proc/self/fd/{number}", f"/proc/self/fd/{number}/../../.."):
                try:
                    output = sh(engine, "pwd; ls -d ../of-the-host of-the-host etc", WorkingDir=path)
                except MinidockError:
                    continue
                assert output.startswith("/"), output
                assert "\nof-the-host" not in output
                assert "\n../of-the-host" not in output
    finally:
        os.close(left_open)
    assert sh(engine, "pwd", WorkingDir="/proc/self") != ""  # the control: a directory of /proc can be one


def test_nor_an_execs(engine: Engine) -> None:
    id = create.create(engine, {"Image": "busybox", "Cmd": ["sleep", "1000"]}, {"NetworkMode": "none"})["Id"]
    try:
        start.start(engine, id)
        for number in range(3, 16):
            try:
                output = exec_output(engine, id, "pwd", WorkingDir=f"/proc/self/fd/{number}")
            except MinidockError:
                continue
            assert output[8:].startswith(b"/"), output
        assert exec_output(engine, id, "pwd", WorkingDir="/etc")[8:] == b"/etc\n"
    finally:
        rm.rm(engine, id, force=True)


def image(engine: Engine, name: str, links: dict[str, str], files: dict[str, bytes]) -> None:
    """busybox with links and executable files of the author's choice in place of what was there."""
    busybox = Path("/bin/busybox").read_bytes()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in {"bin/busybox": busybox, **files}.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
        for path, target in {**{f"bin/{applet}": "busybox" for applet in ("sh", "ls", "cat", "stat")}, **links}.items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    buffer.seek(0)
    import_(engine.images, buffer, name, config={"Cmd": ["sh"], "Env": ["PATH=/bin"]})


@pytest.mark.parametrize("path", ["proc", "sys", "dev", "sys/fs/cgroup", "etc", "etc/hosts", "etc/resolv.conf", "dev/shm"])
def test_an_images_link_leads_no_mount_out(engine: Engine, path: str) -> None:
    watched = ("/etc", "/proc", "/dev", "/sys", "/etc/hosts", "/etc/resolv.conf")
    before = {name: os.lstat(name).st_mtime_ns for name in watched}
    mounts = Path("/proc/self/mountinfo").read_text()
    for target in ("/real", "/../../../../../../etc", "/proc/self/root", "/proc/1/root/etc"):
        image(engine, "linked", {path: target}, {"real/file": b"x"})
        try:
            output = sh(engine, "ls -d /real/file /etc/debian_version /var/lib/dpkg", image="linked")
        except MinidockError:
            continue
        assert "/real/file\n" in output, "a container that starts has its image's files"
        assert not [line for line in output.splitlines() if line in ("/etc/debian_version", "/var/lib/dpkg")], output
    assert {name: os.lstat(name).st_mtime_ns for name in watched} == before
    assert Path("/proc/self/mountinfo").read_text() == mounts
    image(engine, "linked", {}, {"real/file": b"x"})
    assert sh(engine, "ls /real", image="linked") == "file\n"  # the control: without the link it starts


def test_our_own_executable_cannot_be_written(engine: Engine) -> None:
    """CVE-2019-5736: the command is a script whose interpreter is whoever runs it: us."""
    script = b"#!/proc/self/exe\n"
    image(engine, "overwriter", {}, {"bin/self": script})
    python = Path("/proc/self/exe").resolve()
    before = (python.stat().st_mtime_ns, python.stat().st_size)
    try:
        run.run(engine, {"Image": "overwriter", "Cmd": ["/bin/self"]}, dict(HOST))
    except MinidockError as error:
        assert "/bin/self" in str(error)
    id = create.create(
        engine, {"Image": "overwriter", "Cmd": ["sh", "-c", "while :; do cat /proc/[0-9]*/exe >/dev/null 2>&1; done"]}, HOST
    )["Id"]
    start.start(engine, id)
    try:
        for _ in range(5):  # while others look at each process's executable, ours come in by exec
            try:
                exec_output(engine, id, "/bin/self")
            except MinidockError:
                continue
        writers = "for p in /proc/[0-9]*; do (: >> $p/exe) 2>/dev/null && echo $p; done; true"
        assert exec_output(engine, id, "sh", "-c", writers) == b""
    finally:
        rm.rm(engine, id, force=True)
    assert (python.stat().st_mtime_ns, python.stat().st_size) == before


def test_the_host_behind_proc(engine: Engine) -> None:
    """Switches of the machine and its processes' roots: only the container's own are to be seen, and none can be set."""
    for path in (
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/modprobe",
        "/proc/irq/default_smp_affinity",
    ):
        if os.path.exists(path):
            assert "Read-only file system" in sh(engine, f"echo > {path}") or "ermission denied" in sh(engine, f"echo > {path}")
    assert sh(engine, "ls -d /proc/[0-9]* | wc -l").strip() in ("2", "3", "4", "5")
    assert sh(engine, "ls /proc/1/root/").split() == sh(engine, "ls /").split()

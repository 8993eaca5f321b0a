"""What the options of create do, asked from inside the container."""

from __future__ import annotations

import os
import re
import socket
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from minidock import errors
from minidock.daemon.containers import attach, create, export, inspect, logs, ps, resize, rm, run, start, wait
from minidock.daemon.containers import exec as exec_verb
from minidock.daemon.engine import Engine
from minidock.daemon.images import import_, rmi

Ask = Callable[..., str]


@pytest.fixture
def ask(box: Engine) -> Ask:
    """``ask("script", host={…}, **config)``: what a shell script says in a container with these options."""

    def answer(script: str, host: dict[str, Any] | None = None, **config: Any) -> str:
        request = {"Image": "busybox", "Cmd": ["sh", "-c", script], **config}
        result = run.run(box, request, {"NetworkMode": "none", "AutoRemove": True, **(host or {})})
        assert result.exit_code == 0, result.stderr.decode()
        return result.output.decode().strip()

    return answer


def test_a_default_container(ask: Ask) -> None:
    script = (
        "hostname; pwd; id -u; env | sort | grep -E '^(PATH|HOSTNAME|HOME)='; ls /sys/class/net; cat /etc/hostname; echo $$"
    )
    lines = ask(script, Hostname="box").split("\n")
    assert lines == ["box", "/", "0", "HOME=/root", "HOSTNAME=box", "PATH=" + lines[5].removeprefix("PATH="), "lo", "box", "1"]


def test_process_options(ask: Ask) -> None:
    """User, groups, directory, environment, ulimits, init and no-new-privileges are felt by the process."""
    assert ask("pwd; id -u; id -g; id -G; echo $A", User="1000:7", WorkingDir="/new/dir", Env=["A=b"],
               host={"GroupAdd": ["99"]}) == "/new/dir\n1000\n7\n7 99\nb"  # fmt: skip
    assert ask("ulimit -n; ulimit -Hn", host={"Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}]}) == "100\n200"
    assert ask("cat /proc/1/comm; ps | wc -l", host={"Init": True}) != ask("cat /proc/1/comm; ps | wc -l")
    assert ask("grep NoNewPrivs /proc/self/status", host={"SecurityOpt": ["no-new-privileges"]}).endswith("1")
    assert ask("grep NoNewPrivs /proc/self/status").endswith("0")


WRITABLE = """
for f in /etc/hosts /etc/hostname /etc/resolv.conf /new /dev/shm/x /scratch/x /dev/x /bound/x /etc/one; do
    { echo x >>$f; } 2>/dev/null && echo $f
done; true"""


def test_a_read_only_root_has_read_only_files_of_the_engine(ask: Ask, tmp_path: Path) -> None:
    """Only what was asked for by name stays writable: volumes, tmpfs, and the kernel's own /dev and /dev/shm."""
    (tmp_path / "file").touch()
    host = {"Binds": [f"{tmp_path}:/bound", f"{tmp_path}/file:/etc/one"], "Tmpfs": {"/scratch": ""}}
    asked_for = ["/dev/shm/x", "/scratch/x", "/dev/x", "/bound/x", "/etc/one"]
    assert ask(WRITABLE, host={**host, "ReadonlyRootfs": True}).split() == asked_for
    assert ask(WRITABLE, host=host).split() == ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/new", *asked_for]


def test_a_file_of_the_engine_that_was_bound_is_as_the_user_said(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("mine\n")
    host = {"Binds": [f"{tmp_path}/hosts:/etc/hosts"], "ReadonlyRootfs": True}
    assert ask(WRITABLE, host=host).split() == ["/etc/hosts", "/dev/shm/x", "/dev/x"]


def test_entrypoint(box: Engine) -> None:
    """Entrypoint and command are one command line, as with docker."""
    config = {"Image": "busybox", "Entrypoint": ["echo", "entry"], "Cmd": ["point"]}
    assert run.run(box, config, {"NetworkMode": "none", "AutoRemove": True}).output == b"entry point\n"


def test_mounts(ask: Ask, tmp_path: Path) -> None:
    """Each kind of mount is there, with its options, and read-only is refused by the kernel."""
    (tmp_path / "file").write_text("host\n")
    host = {
        "Binds": [f"{tmp_path}:/bound:ro", f"{tmp_path}/file:/etc/one"],
        "Tmpfs": {"/scratch": "size=1m"},
        "Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o1777}}],
    }
    assert ask("cat /bound/file /etc/one; touch /bound/x 2>/dev/null || echo refused", host) == "host\nhost\nrefused"
    script = "df -k /scratch /t | awk 'NR>1 {print $2}'; stat -c %a /t; touch /scratch/x && echo can"
    assert ask(script, host) == "1024\n1024\n1777\ncan"
    assert ask("df -k /dev/shm | awk 'NR>1 {print $2}'", {"ShmSize": 2 << 20}) == "2048"
    assert ask("touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo can", {"ReadonlyRootfs": True}) == "refused\ncan"


def test_devices_and_privilege(ask: Ask) -> None:
    device = {"PathOnHost": "/dev/loop-control", "PathInContainer": "/dev/given", "CgroupPermissions": "r"}
    script = "(: </dev/given) && echo readable; (: >/dev/given) 2>/dev/null || echo not writable"
    assert ask(script, {"Devices": [device]}) == "readable\nnot writable"
    assert ask("ls /dev/kmsg 2>/dev/null || echo none") == "none"
    assert ask("ls /dev/kmsg; touch /proc/sys/vm/swappiness && echo can", {"Privileged": True}) == "/dev/kmsg\ncan"
    assert ask("(: >/proc/sys/vm/swappiness) 2>/dev/null || echo refused") == "refused"
    bit = 1 << 12  # CAP_NET_ADMIN
    for host, wanted in (({}, 0), ({"CapAdd": ["NET_ADMIN"]}, bit)):
        found = int(ask("awk '/CapEff/ {print $2}' /proc/self/status", host), 16)
        assert found & bit == wanted
    assert int(ask("awk '/CapEff/ {print $2}' /proc/self/status", {"CapDrop": ["ALL"]}), 16) == 0


def test_namespaces_of_others(box: Engine, started: Any, ask: Ask) -> None:
    donor = started("sh", "-c", "echo shared >/dev/shm/note; sleep 100", host={"IpcMode": "shareable"}, name="donor")
    exec_made = exec_verb.exec_create(box, donor, {"Cmd": ["sh", "-c", "until [ -e /dev/shm/note ]; do :; done"]})
    exec_verb.exec_start(box, exec_made["Id"], detach=True)
    exec_verb.exec_wait(box, exec_made["Id"])
    assert ask("cat /dev/shm/note", {"IpcMode": "container:donor"}) == "shared"
    assert "sleep 100" in ask("ps", {"PidMode": "container:donor"})
    pid = inspect.inspect(box, donor)["State"]["Pid"]
    assert ask("readlink /proc/self/ns/net", {"NetworkMode": "container:donor"}) == os.readlink(f"/proc/{pid}/ns/net")
    with pytest.raises(errors.InvalidParameter, match="non-shareable IPC"):
        other = started("sleep", "100")
        ask("true", {"IpcMode": f"container:{other}"})
    rm.rm(box, donor, force=True)


def test_namespaces_of_the_host(ask: Ask) -> None:
    for kind, host in (("pid", {"PidMode": "host"}), ("net", {"NetworkMode": "host"}), ("ipc", {"IpcMode": "host"}),
                       ("uts", {"UTSMode": "host"})):  # fmt: skip
        assert ask(f"readlink /proc/self/ns/{kind}", host) == os.readlink(f"/proc/self/ns/{kind}")
        assert ask(f"readlink /proc/self/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


def test_a_user_namespace(ask: Ask, box: Engine) -> None:
    assert ask("id -u; cat /proc/self/uid_map; touch /made && echo can", {"UsernsMode": "remap"}).split() == [
        "0", "0", "100000", "65536", "can",
    ]  # fmt: skip


def test_the_networks_files(ask: Ask) -> None:
    host = {"ExtraHosts": ["db:10.1.2.3"], "Dns": ["10.9.9.9"], "DnsSearch": ["example.org"]}
    assert "10.1.2.3\tdb" in ask("cat /etc/hosts", host)
    assert ask("cat /etc/resolv.conf", host) == "nameserver 10.9.9.9\nsearch example.org"


def test_the_bridge(box: Engine, started: Any, ask: Ask) -> None:
    """A container on the bridge has the address and the gateway that inspect shows, and reaches its neighbor."""
    id = started("sh", "-c", "sleep 100", host={"NetworkMode": "bridge"}, Hostname="web")
    shown = inspect.inspect(box, id)["NetworkSettings"]
    address, gateway = shown["IPAddress"], shown["Gateway"]
    assert address and gateway
    assert shown["Networks"]["bridge"]["IPAddress"] == address
    own = ask(
        "ip -4 addr show eth0 | awk '/inet/ {print $2}'; ip route | awk '/default/ {print $3}'", {"NetworkMode": "bridge"}
    )
    assert own.split("\n")[1] == gateway
    assert own.split("/")[0] != address
    assert ask(f"ping -c 1 -W 5 {address} >/dev/null && echo there", {"NetworkMode": "bridge"}) == "there"
    rm.rm(box, id, force=True)
    assert box.links.execute("SELECT count(*) FROM addresses").fetchone() == (0,)


def read_until(sock: socket.socket, pattern: bytes) -> bytes:
    got = b""
    while not re.search(pattern, got, re.DOTALL):
        data = sock.recv(4096)
        assert data, f"the stream ended at {got!r}"
        got += data
    return got


def test_a_terminal_attached_before_the_start(box: Engine, made: Any) -> None:
    id = made("sh", Tty=True, OpenStdin=True, StdinOnce=True)
    with attach.attach(box, id, stdin=True, detach_keys="ctrl-p,ctrl-q") as sock:
        start.start(box, id)
        resize.resize(box, id, 33, 99)
        sock.sendall(b"stty size; tty\n")
        # … and the prompt: a shell that changes the terminal's mode may throw away what was typed before it
        read_until(sock, rb"33 99\s+/dev/pts/\d+\s+.*# ")
        sock.sendall(b"\x10\x11")
        while sock.recv(4096):
            pass
    assert inspect.inspect(box, id)["State"]["Running"], "the detach keys leave it running"
    with attach.attach(box, id, stdin=True) as sock:
        sock.sendall(b"exit 4\n")
        while sock.recv(4096):
            pass
    assert wait.wait(box, id)["StatusCode"] == 4


def test_attach_with_the_log_first(box: Engine, made: Any) -> None:
    id = made("sh", "-c", "echo before; read x; echo after $x", OpenStdin=True, StdinOnce=True)
    start.start(box, id)
    for _stream, text in logs.logs(box, id, follow=True):
        assert text == b"before\n"
        break
    with attach.attach(box, id, stdin=True, logs=True) as sock:
        sock.sendall(b"that\n")
        received = b"".join(iter(lambda: sock.recv(4096), b""))
    assert run.separate(received) == ((1, b"before\n"), (1, b"after that\n"))
    assert wait.wait(box, id)["StatusCode"] == 0


def test_no_log(box: Engine, started: Any) -> None:
    """Without a log, `logs` says so instead of showing nothing."""
    id = started("echo", "x", host={"LogConfig": {"Type": "none", "Config": {}}})
    wait.wait(box, id)
    with pytest.raises(errors.InvalidParameter, match="configured logging driver does not support reading"):
        logs.logs(box, id)


def test_what_cannot_be_shared(box: Engine, made: Any) -> None:
    stopped = made("true")
    id = create.create(box, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": f"container:{stopped}"})["Id"]
    with pytest.raises(errors.Conflict, match=f"cannot join network of a non running container: {stopped}"):
        start.start(box, id)


@pytest.fixture
def linked(box: Engine, tmp_path: Path) -> Iterator[str]:
    """An image with links in the place of directories: out of its root, to nowhere, to a file, to itself."""
    tar = tmp_path / "linked.tar"
    links = {
        "out": "/../../../etc",
        "absolute": "/etc",
        "nowhere": "/tmp/made",
        "up": "/tmp/../../made",
        "near": "made",
        "file": "/etc/passwd",
    }
    id = create.create(box, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none"})["Id"]
    tar.write_bytes(b"".join(export.export(box, id)))
    rm.rm(box, id)
    with tarfile.open(tar, "a") as archive:
        for name, target in {**links, "loop": "loop"}.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    with open(tar, "rb") as file:
        list(import_.import_(box, "-", file, repository="linked"))
    yield "linked"
    rmi.rmi(box, "linked")


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/out/x/y", "/etc/x/y"),
        ("/absolute", "/etc"),
        ("/nowhere", "/tmp/made"),
        ("/nowhere/x", "/tmp/made/x"),
        ("/up", "/made"),
        ("/near", "/made"),
        ("/new/dir/", "/new/dir"),
        ("/../../x", "/x"),
        ("//etc", "/etc"),
        ("/tmp/.", "/tmp"),
    ],
)
def test_a_working_directory_stays_inside(ask: Ask, linked: str, path: str, inside: str) -> None:
    """As dockerd 20.10 has it, asked for each of these."""
    there = os.path.exists(inside) if inside not in ("/etc", "/tmp") else None
    assert ask("pwd", Image=linked, WorkingDir=path) == inside
    assert there is None or os.path.exists(inside) == there


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/passwd", "Cannot mkdir: /etc/passwd is not a directory"),
        ("/file", "Cannot mkdir: /file is not a directory"),
        ("/out/passwd/", "Cannot mkdir: /out/passwd is not a directory"),
        ("/etc/passwd/x", "Cannot mkdir: /etc/passwd/x: not a directory"),
        ("/loop", "Cannot mkdir: /loop: too many levels of symbolic links"),
    ],
)
def test_a_working_directory_that_cannot_be_one_leaves_no_container(box: Engine, linked: str, path: str, words: str) -> None:
    with pytest.raises(errors.InvalidParameter) as refused:
        create.create(box, {"Image": linked, "Cmd": ["true"], "WorkingDir": path}, {"NetworkMode": "none"})
    assert refused.value.explanation == words
    assert ps.ps(box, all=True) == []
    assert [name for name in os.listdir(box.paths.tmp) if len(name) == 64] == []  # others are the engine's own


def test_an_empty_command_is_looked_for_and_not_found(box: Engine) -> None:
    id = create.create(box, {"Image": "busybox", "Cmd": [""]}, {"NetworkMode": "none"})["Id"]
    with pytest.raises(errors.CommandNotFound) as refused:
        start.start(box, id)
    assert refused.value.explanation == 'exec: "": executable file not found in $PATH'
    assert inspect.inspect(box, id)["State"]["ExitCode"] == 127
    rm.rm(box, id)

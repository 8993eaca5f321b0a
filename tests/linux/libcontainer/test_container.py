"""`create`: namespaces, identity, descriptors, errors, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from minidock.errors import CommandNotExecutable, CommandNotFound, StartError
from minidock.libcontainer.config import Capabilities, Mount, Namespaces, Rlimit, TimeOffsets
from minidock.libcontainer.container import Stdio, create
from minidock.linux import trace
from tests.linux.libcontainer.box import MOUNTS, Box, execute, namespaces_of
from tests.linux.libcontainer.children import in_child


@pytest.mark.parametrize("kind", ["pid", "net", "ipc", "uts", "cgroup", "time"])
@pytest.mark.parametrize("value", ["new", "host"])
def test_each_namespace_new_or_the_hosts(box: Box, kind: str, value: str) -> None:
    def body() -> None:
        config = box.config("sleep", "60", namespaces=Namespaces(**{kind: value}))
        with box.started(config) as (container, _):
            theirs, ours = namespaces_of(container.pid), namespaces_of("self")
            assert (theirs[kind] == ours[kind]) is (value == "host")
            assert theirs["mnt"] != ours["mnt"]
        assert namespaces_of("self") == ours  # nobody stays where he only went for the clone

    in_child(body)  # a worker of pytest's has threads, and a process with threads cannot go into a time namespace


@pytest.mark.parametrize("kind", ["pid", "net", "ipc", "uts"])
def test_joining_another_containers_namespace(box: Box, kind: str) -> None:
    with box.started(box.config("sleep", "60")) as (first, _):
        join = Namespaces(**{kind: f"/proc/{first.pid}/ns/{kind}"})
        second = box.config("sleep", "60", namespaces=join, root=box.bind())
        with box.started(second) as (container, _):
            one, two = namespaces_of(first.pid), namespaces_of(container.pid)
            assert [k for k in one if one[k] == two[k] and k not in ("user", "cgroup", "time")] == [kind]


def test_a_joined_pid_namespace_shows_the_others_processes(box: Box) -> None:
    with box.started(box.config("sleep", "61")) as (first, _):
        join = Namespaces(pid=f"/proc/{first.pid}/ns/pid")
        _code, output = box.run(box.config("ps", namespaces=join, root=box.bind()))
    assert "sleep 61" in output
    assert "sleep 61" not in box.sh("ps", root=box.bind())


def test_time_offsets(box: Box) -> None:
    """A container's clock since boot can be ahead of the machine's."""
    read = "cat /proc/uptime"
    plain = float(box.sh(read).split()[0])
    ahead = {"namespaces": Namespaces(time="new"), "time_offsets": TimeOffsets(0, 100_000)}
    moved = float(in_child(lambda: box.sh(read, **ahead)).split()[0])
    assert 100_000 <= moved - plain < 100_060


def test_a_cgroup_namespace_begins_at_the_containers_cgroup(box: Box) -> None:
    inside = box.sh("cat /proc/self/cgroup", namespaces=Namespaces(cgroup="new"))
    assert {line.split(":", 2)[2] for line in inside.split()} == {"/"}
    assert box.parent in box.sh("cat /proc/self/cgroup")


def test_pid_1_host_name_and_session(box: Box) -> None:
    output = box.sh("echo $$; hostname; cat /proc/sys/kernel/domainname", domainname="example.org")
    assert output.split() == ["1", "box", "example.org"]


def test_user_groups_and_home(box: Box) -> None:
    ann = ["uid=1000(ann)", "gid=1001(ann)", "groups=10(wheel),1001(ann)", "/home/ann"]
    assert box.sh("id; echo $HOME", user="ann").split() == ann
    assert box.sh("id -u; id -g; id -G; echo $HOME", user="77:ann", groups=("99",)).split() == ["77", "1001", "1001", "99", "/"]
    assert box.sh("echo $HOME", env=("PATH=/bin", "HOME=/x")).strip() == "/x"


def test_capabilities_seccomp_and_no_new_privs_as_proc_status_says(box: Box, tmp_path: Path) -> None:
    allow_all = tmp_path / "allow.bpf"
    allow_all.write_bytes(bytes.fromhex("0600000000 00ff7f".replace(" ", "")))  # ret SECCOMP_RET_ALLOW
    keys = ("CapEff", "CapBnd", "Seccomp", "NoNewPrivs")

    def status(**changes: object) -> list[str]:
        fields = dict(line.split(":", 1) for line in box.sh("cat /proc/self/status", **changes).splitlines())
        return [fields[k].strip() for k in keys]

    assert status() == ["00000000a80425fb", "00000000a80425fb", "0", "0"]
    assert status(user="ann")[:2] == ["0000000000000000", "00000000a80425fb"]
    assert status(capabilities=Capabilities())[:2] == ["0000000000000000"] * 2
    assert status(seccomp=str(allow_all))[2:] == ["2", "0"]
    assert status(seccomp=str(allow_all), no_new_privileges=True, user="ann")[2:] == ["2", "1"]


def test_no_descriptor_of_ours_is_inside(box: Box) -> None:
    leaked = os.open("/etc/hostname", os.O_RDONLY)  # even one that a careless caller left inheritable
    os.set_inheritable(leaked, True)
    try:
        # The shell's glob opens the directory itself as descriptor 3.
        assert box.sh("cd /proc/$$/fd && echo *").split() in (["0", "1", "2"], ["0", "1", "10", "2"], ["0", "1", "2", "3"])
    finally:
        os.close(leaked)


def test_signals_are_as_a_new_process_expects(box: Box) -> None:
    """Python ignores SIGPIPE, nohup SIGHUP, the first of all signals; and who starts us may have blocked some."""
    ours = (signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMAX)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ours}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGRTMIN})
    try:
        fields = dict(line.split(":", 1) for line in box.sh("exec cat /proc/self/status").splitlines())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert int(fields["SigIgn"], 16) == 0
    assert int(fields["SigBlk"], 16) == 0


@pytest.mark.parametrize(
    ("args", "kind", "text"),
    [
        (("nope",), CommandNotFound, 'exec: "nope": executable file not found in $PATH'),
        (("/nope",), CommandNotFound, 'exec: "/nope": stat /nope: no such file or directory'),
        (("/etc",), CommandNotExecutable, 'exec: "/etc": is a directory'),
        (("/etc/passwd",), CommandNotExecutable, 'exec: "/etc/passwd": permission denied'),
        (("/bin/garbage",), CommandNotExecutable, 'exec: "/bin/garbage": exec format error'),
        (("/bin/no-interpreter",), CommandNotFound, 'exec: "/bin/no-interpreter": no such file or directory'),
    ],
)
def test_a_command_that_cannot_be_executed(box: Box, args: tuple[str, ...], kind: type[StartError], text: str) -> None:
    for name, content in (("garbage", "?"), ("no-interpreter", "#!/not/there\n")):
        (box.image / "bin" / name).write_text(content)
        (box.image / "bin" / name).chmod(0o755)
    with pytest.raises(StartError) as caught:
        box.run(box.config(*args))
    assert type(caught.value) is kind
    assert str(caught.value) == text
    assert kind.exit_code in (126, 127)


def test_errors_in_dockers_words(box: Box) -> None:
    for changes, text in (
        ({"user": "bob"}, "unable to find user bob: no matching entries in passwd file"),
        ({"user": "root:nobody"}, "unable to find group nobody: no matching entries in group file"),
        ({"cwd": "/etc/passwd"}, 'chdir to cwd ("/etc/passwd") set in config.json failed: not a directory'),
        ({"mounts": (Mount("/x", source="/not/there"),)}, "bind mount /not/there: no such file or directory"),
        ({"sysctl": (("net.nonsense", "1"),)}, "write sysctl /proc/sys/net/nonsense: no such file or directory"),
    ):
        with pytest.raises(StartError) as caught:
            box.run(box.config("true", **changes))
        assert str(caught.value).startswith(text)


def test_working_directory(box: Box) -> None:
    """A missing directory is made, and no directory leads out of the container (CVE-2024-21626)."""
    assert box.sh("pwd", cwd="/made/for/us") == "/made/for/us\n"
    for way_out in ("/proc/self/fd/3", "/proc/self/fd/7/../../..", "/proc/1/cwd/../.."):
        try:
            assert box.sh("ls -d /bin/busybox && pwd", cwd=way_out)
        except StartError:
            continue


def test_limits_and_oom_score(box: Box) -> None:
    config = box.config(
        "sh", "-c", "ulimit -n; cat /proc/self/oom_score_adj", rlimits=(Rlimit("nofile", 99, 100),), oom_score_adj=500
    )
    assert box.run(config) == (0, "99\n500\n")
    with box.started(box.config("sleep", "9", rlimits=(Rlimit("nofile", 5, 1 << 29),))) as (container, _):
        assert container.warnings == [] or "nofile" in container.warnings[0]


def test_sysctl_is_the_containers_own(box: Box) -> None:
    host = Path("/proc/sys/net/ipv4/ip_default_ttl").read_text()
    assert box.sh("cat /proc/sys/net/ipv4/ip_default_ttl", sysctl=(("net.ipv4.ip_default_ttl", "77"),)) == "77\n"
    assert Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() == host


def test_exit_status_and_signal(box: Box) -> None:
    assert box.run(box.config("sh", "-c", "exit 42")) == (42, "")
    assert box.run(box.config("sh", "-c", "kill -9 $$", init=True))[0] == 137
    with box.started(box.config("sleep", "60")) as (container, _):
        os.kill(container.pid, signal.SIGKILL)
        assert container.wait() == 137


def test_init_reaps_forwards_and_hides_its_executable(box: Box) -> None:
    orphan = "(sleep 0.01 & exec true) ; while [ $(ls -d /proc/[0-9]* | wc -l) -gt 4 ]; do sleep 0.01; done; cat /proc/1/comm"
    (box.image / "bin/wc").symlink_to("busybox")
    assert box.sh(orphan, init=True) == "docker-init\n"
    code, output = box.run(box.config("sh", "-c", "cat < /proc/1/exe || exit 7", init=True))
    assert code == 7, output
    with box.started(box.config("sleep", "60", init=True)) as (container, _):
        os.kill(container.pid, signal.SIGTERM)
        assert container.wait() == 143
    with box.started(box.config("sleep", "60")) as (container, _):  # the control: a pid 1 without a handler ignores it
        os.kill(container.pid, signal.SIGTERM)
        assert container.wait(blocking=False) is None


def test_a_terminal(box: Box) -> None:
    """The container's terminal has its size, its name and /dev/console, and carries both ways."""
    ours, theirs = socket.socketpair()
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    config = box.config("sh", "-c", "stty size; tty; ls -l /dev/console; read x; echo got $x", tty=True, rows=33, cols=101)
    for applet in ("stty", "tty"):
        (box.image / "bin" / applet).symlink_to("busybox")
    container = create(config, Stdio(null, null, null, theirs.fileno()))
    try:
        container.ready()
        _data, fds, _flags, _address = socket.recv_fds(ours, 1, 1)
        execute(container)
        os.write(fds[0], b"hello\n")
        output = b""
        try:
            while part := os.read(fds[0], 4096):
                output += part
        except OSError:  # EIO: the last one on the other side has gone
            pass
        assert container.wait() == 0
        os.close(fds[0])
    finally:
        container.destroy()
        os.close(null)
        ours.close()
        theirs.close()
    lines = output.decode().replace("\r", "").split("\n")
    assert [line for line in lines if line in ("33 101", "/dev/pts/0", "got hello")] == ["33 101", "/dev/pts/0", "got hello"]
    assert any(line.startswith("crw--w----") and line.endswith("/dev/console") for line in lines)


def test_the_trace_tells_every_step(box: Box) -> None:
    tracer = trace.Tracer("shim")
    before = trace.install(tracer)
    try:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        container = create(box.config("true"), Stdio(null, null, null), tracer)
        container.ready()
        execute(container)
        container.wait()
        steps = container.trace()
        container.destroy()
        os.close(null)
    finally:
        trace.install(before)
    names = [s["name"] for s in steps]
    assert "clone3" in [s.name for s in tracer.steps]
    assert names.index("attach root") < names.index("make devices") < names.index("pivot_root") < names.index("capset")
    assert all(s["process"] == "init" for s in steps)


def test_privileged_mounts_are_read_only_where_docker_has_them_so(box: Box) -> None:
    assert box.sh("touch /proc/sys/kernel/x /sys/x /sys/fs/cgroup/x 2>/dev/null || echo refused") == "refused\n"
    assert MOUNTS

"""The default profile in a real kernel: call by call against dockerd, name by name against a packaged profile, and by hand."""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pyseccomp
import pytest

from minidock.errors import InvalidParameter
from minidock.libcontainer import capabilities, seccomp, seccomp_profile, seccomp_table
from minidock.libcontainer.capabilities import DEFAULT
from minidock.linux import security
from tests import peers
from tests.linux.libcontainer.children import in_child

PROBE = Path(__file__).with_name("syscall_probe.py")
LAST = 470
PACKAGED = Path("/usr/share/containers/seccomp.json")

# Where Debian 12's dockerd (20.10.24, runc 1.1.5) answers otherwise than we do, who follow Docker of today.
LATER = "allowed since Docker 23"
NEWER = "newer than dockerd's profile (ENOSYS there), in ours (where libseccomp knows it)"
IO_URING = "refused since Docker 25"
DIFFERENT_FROM_DOCKERD = {
    "name_to_handle_at": LATER,
    "process_vm_readv": LATER,
    "process_vm_writev": LATER,
    "pkey_mprotect": LATER,
    "pkey_alloc": LATER,
    "pkey_free": LATER,
    "io_uring_setup": IO_URING,
    "io_uring_enter": IO_URING,
    "io_uring_register": IO_URING,
    "set_mempolicy_home_node": "for CAP_SYS_NICE only: EPERM, as newer numbers are known; dockerd ends below it",
    "cachestat": NEWER,
    "fchmodat2": NEWER,
    "futex_wake": NEWER,
    "futex_wait": NEWER,
    "futex_requeue": NEWER,
}

# Names that Podman's profile allows a container with the default capabilities, and Docker's does not.
ONLY_PACKAGED = {
    **dict.fromkeys(
        ("mount", "umount", "umount2", "fsopen", "fsconfig", "fsmount", "fspick", "move_mount", "open_tree", "mount_setattr"),
        "Podman lets the kernel's capability check do it (nested rootless containers); Docker wants CAP_SYS_ADMIN",
    ),
    **dict.fromkeys(("unshare", "setns", "clone3", "pivot_root"), "namespaces: as above"),
    **dict.fromkeys(("mbind", "get_mempolicy", "set_mempolicy"), "Docker wants CAP_SYS_NICE"),
    "keyctl": "keys have no namespace of their own; never allowed by Docker",
    "pidfd_getfd": "Docker wants CAP_SYS_PTRACE",
    "reboot": "Docker wants CAP_SYS_BOOT",
    "syslog": "Docker wants CAP_SYSLOG or CAP_SYS_ADMIN",
    **dict.fromkeys(("readdir", "sigaction", "signal", "sigpending", "sigsuspend"), "32-bit calls no C library makes any more"),
    **dict.fromkeys(("syscall", "timerfd"), "no such call on any architecture that we have"),
}
ONLY_OURS = {
    **dict.fromkeys(
        ("cachestat", "fchmodat2", "futex_wait", "futex_wake", "futex_requeue", "map_shadow_stack"), "Linux 6.5-6.7"
    ),
    **dict.fromkeys(("listmount", "statmount", "mseal", "uretprobe"), "Linux 6.8-6.11"),
    **dict.fromkeys(("getxattrat", "setxattrat", "listxattrat", "removexattrat"), "Linux 6.13"),
    "futex_waitv": "Linux 5.16; the packaged profile is older",
    **dict.fromkeys(("io_pgetevents", "io_pgetevents_time64", "vmsplice"), "Docker allows them, Podman names them to refuse"),
}

libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seccomp")


def name(number: int) -> str:
    """The name of a system call, as libseccomp has it."""
    return bytes(pyseccomp.resolve_syscall(pyseccomp.system_arch(), number)).decode()


def verdict(error: int) -> str:
    """What a probe can tell about a filter: refused, not there, or let through (whatever the kernel then said)."""
    return {errno.EPERM: "EPERM", errno.ENOSYS: "ENOSYS"}.get(error, "let through")


def ours(program: str) -> dict[int, str]:
    """The probe under our filter, with the default capabilities, in namespaces so that nonsense meets nothing of the host's."""
    code = (
        "import os, sys; from minidock.libcontainer import capabilities; from minidock.linux import security\n"
        "security.seccomp_set_filter(open(sys.argv[1], 'rb').read()); capabilities.apply(capabilities.for_container()[0])\n"
        "os.execv('/usr/bin/python3', ['python3', '-c', sys.argv[2], sys.argv[3]])"
    )
    namespaces = ["unshare", "--ipc", "--uts", "--net", "--pid", "--mount", "--fork", "--kill-child"]
    command = [*namespaces, sys.executable, "-c", code, program, PROBE.read_text(), str(LAST)]
    answer = subprocess.run(command, capture_output=True, check=True, timeout=100)
    return {int(n): verdict(e) for n, e in json.loads(answer.stdout).items()}


def empty_image() -> bytes:
    """A tar of the links that make /usr a root file system; /usr itself is mounted in."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for link in ("bin", "lib", "lib64", "sbin"):
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, f"usr/{link}"
            archive.addfile(member)
    return buffer.getvalue()


def theirs(directory: Path) -> dict[int, str]:
    """The probe in a container of dockerd's."""
    with peers.dockerd(directory) as docker:
        docker("import", "-", "probe", stdin=empty_image())
        command = ["/usr/bin/python3", "-c", PROBE.read_text(), str(LAST)]
        answer = docker("run", "--rm", "--net=none", "-v", "/usr:/usr:ro", "probe", *command)
    return {int(n): verdict(e) for n, e in json.loads(answer.stdout).items()}


def test_call_by_call_as_dockerd(cache: Path, tmp_path: Path) -> None:
    mine, docker = ours(seccomp.profile_path(None, DEFAULT, cache)), theirs(tmp_path)
    assert len(mine) == len(docker) > 450
    different = {name(n) for n in mine if mine[n] != docker[n]}
    assert different == set(DIFFERENT_FROM_DOCKERD)
    # The probe can tell: without a filter, unshare and keyctl come to the kernel.
    assert (mine[number("unshare")], mine[number("keyctl")]) == ("EPERM", "EPERM")
    nothing = {"defaultAction": "SCMP_ACT_ALLOW"}
    unfiltered = ours(seccomp.profile_path(json.dumps(nothing), DEFAULT, cache))
    assert len({n for n in mine if unfiltered[n] != docker[n]}) > 15


def number(call: str) -> int:
    return int(pyseccomp.resolve_syscall(pyseccomp.system_arch(), call))


def allowed(profile: seccomp_profile.Profile) -> set[str]:
    return {n for rule in profile.rules if rule.action == "SCMP_ACT_ALLOW" for n in rule.names}


def test_name_by_name_as_packaged() -> None:
    packaged = allowed(seccomp_profile.parse(PACKAGED.read_text(), DEFAULT))
    default = allowed(seccomp_table.default_profile(DEFAULT))
    assert packaged - default == set(ONLY_PACKAGED)
    assert default - packaged == set(ONLY_OURS)


@pytest.mark.parametrize(
    ("capability", "call"),
    [
        ("SYS_ADMIN", "mount"),
        ("SYS_ADMIN", "clone3"),
        ("SYS_CHROOT", "chroot"),
        ("SYS_PACCT", "acct"),
        ("SYS_PTRACE", "kcmp"),
        ("SYS_TIME", "clock_settime"),
        ("SYSLOG", "syslog"),
        ("BPF", "bpf"),
        ("PERFMON", "perf_event_open"),
        ("SYS_NICE", "mbind"),
        ("DAC_READ_SEARCH", "open_by_handle_at"),
    ],
)
def test_a_capability_opens_its_calls(cache: Path, capability: str, call: str) -> None:
    """The filter alone: the process keeps root's capabilities, so only the filter can say EPERM."""

    def child(caps: tuple[str, ...]) -> int:
        security.seccomp_set_filter(Path(seccomp.profile_path(None, caps, cache)).read_bytes())
        libc.syscall(ctypes.c_long(number(call)), *[ctypes.c_long(-1)] * 6)
        return ctypes.get_errno()

    without = tuple(n for n in DEFAULT if n != capability)
    assert in_child(lambda: child(without)) == (errno.ENOSYS if call == "clone3" else errno.EPERM)
    assert in_child(lambda: child((*without, capability))) not in (errno.EPERM, errno.ENOSYS)


def raw(call: int, *args: int) -> str:
    """errno's name, or "ok", of a raw system call."""
    result = libc.syscall(ctypes.c_long(call), *[ctypes.c_long(a) for a in args])
    return "ok" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def test_arguments_decide(cache: Path) -> None:
    """Calls that the profile allows for some arguments only are refused for the others, with docker's errno."""
    program = Path(seccomp.profile_path(None, DEFAULT, cache)).read_bytes()

    def child() -> dict[str, str]:
        security.seccomp_set_filter(program)
        personality, sock, clone = number("personality"), number("socket"), number("clone")
        return {
            "personality: ask": raw(personality, 0xFFFFFFFF),
            "personality: Linux": raw(personality, 0),
            "personality: no randomisation": raw(personality, 0x0040000),
            "socket: inet": raw(sock, socket.AF_INET, socket.SOCK_STREAM, 0),
            "socket: vsock": raw(sock, 40, socket.SOCK_STREAM, 0),
            "socket: alg": raw(sock, 38, socket.SOCK_SEQPACKET, 0),
            "clone: a user namespace": raw(clone, 0x10000000, 0, 0, 0, 0),
            "clone3": raw(number("clone3"), 0, 0),
            "a number of the future": raw(10000),
        }

    assert in_child(child) == {
        "personality: ask": "ok",
        "personality: Linux": "ok",
        "personality: no randomisation": "EPERM",
        "socket: inet": "ok",
        "socket: vsock": "EPERM",
        "socket: alg": "EPERM",
        "clone: a user namespace": "EPERM",
        "clone3": "ENOSYS",
        "a number of the future": "ENOSYS",
    }


def test_threads_processes_and_commands_still_start(cache: Path) -> None:
    """glibc tries clone3 first for threads and posix_spawn, and must find its way back."""
    program = Path(seccomp.profile_path(None, DEFAULT, cache)).read_bytes()

    def child() -> str:
        security.seccomp_set_filter(program)
        capabilities.apply(capabilities.for_container()[0])
        code = "import threading as t; x = t.Thread(target=print, args=('thread',)); x.start(); x.join()"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout

    assert in_child(child) == "thread\n"


def test_own_profile_from_json(cache: Path, tmp_path: Path) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOTTY},
            {"name": "rmdir", "action": "SCMP_ACT_ERRNO"},
        ],
    }
    file = tmp_path / "profile.json"
    file.write_text(json.dumps(profile))
    from_file, from_text = (seccomp.profile_path(s, DEFAULT, cache) for s in (str(file), file.read_text()))
    assert from_file == from_text

    def child(call: str) -> None:
        security.seccomp_set_filter(Path(from_file).read_bytes())
        getattr(os, call)(tmp_path / "d")

    assert in_child(lambda: child("mkdir")) == {"errno": errno.ENOTTY}
    assert in_child(lambda: child("rmdir")) == {"errno": errno.EPERM}
    assert in_child(lambda: child("stat")) == {"errno": errno.ENOENT}


def test_compiled_once(cache: Path, tmp_path: Path) -> None:
    """A profile is compiled once, not at each start; another set of capabilities is another profile."""
    fresh = tmp_path / "cache"
    path = Path(seccomp.profile_path(None, DEFAULT, fresh))
    before = path.stat()
    assert Path(seccomp.profile_path(None, DEFAULT, fresh)) == path
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert seccomp.profile_path(None, (*DEFAULT, "SYS_ADMIN"), fresh) != str(path)
    assert len(list(fresh.iterdir())) == 2
    assert (fresh.stat().st_mode & 0o777, before.st_mode & 0o777) == (0o700, 0o600)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    with pytest.raises(InvalidParameter) as caught:
        seccomp.profile_path(str(missing), DEFAULT, tmp_path)
    assert str(caught.value) == f"opening seccomp profile ({missing}) failed: open {missing}: no such file or directory"
    assert list(tmp_path.iterdir()) == []
    assert seccomp.profile_path("unconfined", DEFAULT, tmp_path) == ""

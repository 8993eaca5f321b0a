"""Tries, from inside a container, all that a container should not be able to do, and prints what came of it as JSON.

Stands alone (stdlib), so that it runs in a container of ours and of another runtime alike. Nothing is ever written to or read
from what it should not reach: a forbidden thing that opens is closed again at once.

Each field is ``KIND NAME``; the kind says which of two values is the weaker one (``compare.py``)::

    set    the names of things that are there, or can be written: fewer is stricter
    try    "ok" or the errno's name: an errno is stricter
    see    "content", or in what way nothing is seen
    least  a number: more is stricter          most   a number: less is stricter
    mount  type and flags of a mount: more of ro, nosuid, nodev, noexec, null is stricter
    same   neither is stricter

Usage: probe.py HOST   where HOST is the JSON of the engine's namespace ids ({"mnt": "mnt:[1]", …}).
"""

import ctypes
import errno
import json
import os
import resource
import socket
import stat
import sys

libc = ctypes.CDLL(None, use_errno=True)
X86 = os.uname().machine == "x86_64"

MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap"),
    *("/sys/firmware", "/sys/kernel/debug", "/sys/kernel/security", "/sys/kernel/tracing", "/sys/fs/bpf", "/sys/fs/pstore"),
    *("/proc/kmsg", "/proc/kpagecount", "/proc/kpageflags", "/proc/vmallocinfo", "/proc/1/auxv", "/proc/1/environ"),
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/sys")
REFUSES_WRITES = (
    *("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/panic_on_oom"),
    *("/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper", "/proc/self/exe", "/proc/1/exe", "/proc/1/mem"),
    *("/proc/mtrr", "/proc/timer_list"),
)
NODES = {"mem": (1, 1), "port": (1, 4), "kmsg": (1, 11), "vt": (4, 1), "null": (1, 3), "tun": (10, 200), "cuse": (10, 203),
         "fuse": (10, 229), "kvm": (10, 232), "loop-control": (10, 237)}  # fmt: skip
SOCKETS = {"packet": (17, 3, 0x300), "raw": (2, 3, 1), "vsock": (40, 1, 0), "alg": (38, 5, 0), "netlink": (16, 3, 0),
           "audit": (16, 3, 9)}  # fmt: skip
# name → (number on x86-64, on arm64, arguments). None of them changes anything even if it is let through.
CALLS = {
    "unshare a user namespace": (272, 97, (0x10000000,)),
    "unshare a mount namespace": (272, 97, (0x00020000,)),
    "kexec_load": (246, 104, (0, 99, 0, 0)),
    "init_module": (175, 105, (0, 0, 0)),
    "finit_module": (313, 273, (-1, 0, 0)),
    "delete_module": (176, 106, (0, 0)),
    "bpf: a map": (321, 280, (0, 0, 0)),
    "perf_event_open": (298, 241, (0, 0, -1, -1, 0)),
    "userfaultfd": (323, 282, (0,)),
    "keyctl: the session keyring's id": (250, 219, (0, -3, 0)),
    "add_key": (248, 217, (0, 0, 0, 0, -3)),
    "request_key": (249, 218, (0, 0, 0, -3)),
    "open_by_handle_at": (304, 265, (-1, 0, 0)),
    "pivot_root": (155, 41, (0, 0)),
    "fsopen": (430, 430, (0, 0)),
    "open_tree: a clone": (428, 428, (-100, 0, 1)),
    "fanotify_init": (300, 262, (0, 0)),
    "acct": (163, 89, (0,)),
    "swapon": (167, 224, (0, 0)),
    "reboot with wrong words": (169, 142, (0, 0, 0, 0)),
    "syslog: the size": (103, 116, (10, 0, 0)),
    "quotactl": (179, 60, (0x80000100, 0, 0, 0)),
    "settimeofday with a wrong address": (164, 170, (1, 0)),
    "io_uring_setup": (425, 425, (0, 0)),
    "personality: no randomisation": (135, 92, (0x0040000,)),
    "kcmp": (312, 272, (1, 1, 0, 0, 0)),
    "move_pages": (279, 239, (0, 0, 0, 0, 0, 0)),
    "iopl": (172, -1, (3,)),
    "ioperm": (173, -1, (0x80, 1, 0)),
}


def read(path):
    """A file's text."""
    with open(path) as file:
        return file.read()


def lines(path):
    """A file's lines."""
    return read(path).splitlines()


def name(error):
    """An OSError as the errno's name."""
    return errno.errorcode.get(error.errno, str(error.errno))


def attempt(act, *arguments, **options):
    """ "ok", or the name of the errno that `act` fails with; what it opened is closed."""
    try:
        result = act(*arguments, **options)
    except OSError as error:
        return name(error)
    if isinstance(result, int) and result > 2:
        os.close(result)
    return "ok"


def in_child(act):
    """`act`'s answer from a child: what it changes of its own process ends with it."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(w, str(act()).encode())
        finally:
            os._exit(0)
    os.close(w)
    answer = os.read(r, 4096).decode()
    os.close(r)
    os.waitpid(pid, 0)
    return answer


def call(number, arguments):
    """ "ok" or the errno's name of a raw system call."""
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) for a in arguments])
    return "ok" if result != -1 else errno.errorcode[ctypes.get_errno()]


def libc_call(function, *arguments):
    """ "ok" or the errno's name of a C library's function."""
    return "ok" if getattr(libc, function)(*arguments) != -1 else errno.errorcode[ctypes.get_errno()]


def status():
    """Capabilities, no_new_privs, seccomp, signals, ids: /proc/self/status and prctl(2)."""
    fields = dict(line.rstrip().split(":\t", 1) for line in lines("/proc/self/status") if ":\t" in line)
    for which in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        bits = int(fields[f"Cap{which}"], 16)
        yield f"set capabilities {which}", [n for n in range(64) if bits >> n & 1]
    yield "least NoNewPrivs", int(fields["NoNewPrivs"])
    yield "least Seccomp", int(fields["Seccomp"])
    for key in ("Uid", "Gid", "Groups", "SigBlk", "SigIgn", "Umask", "Speculation_Store_Bypass"):
        yield f"same {key}", fields.get(key, "").strip()
    for key, option in {"dumpable": 3, "securebits": 27, "keep capabilities": 7}.items():
        yield f"same {key}", libc.prctl(option, 0, 0, 0, 0)
    for key in ("uid_map", "gid_map", "setgroups", "loginuid"):
        yield f"same {key}", " ".join(read(f"/proc/self/{key}").split())
    try:
        label = read("/proc/self/attr/current").strip("\0\n")
    except OSError as error:
        label = name(error)
    yield "same security label", label
    yield "least oom_score_adj", int(read("/proc/self/oom_score_adj"))


def limits():
    """Resource limits and environment."""
    for key in (k for k in dir(resource) if k.startswith("RLIMIT_")):
        for which, value in zip(("soft", "hard"), resource.getrlimit(getattr(resource, key)), strict=True):
            yield f"most {key} {which}", sys.maxsize if value == resource.RLIM_INFINITY else value
    yield "set environment", sorted(k for k in os.environ if k not in ("LC_CTYPE",))
    yield "same directory", os.getcwd()


def look(path):
    """What a path shows: content, or how it is hidden."""
    try:
        if os.path.isdir(path):
            return "content" if os.listdir(path) else "empty"
        with open(path, "rb", buffering=0) as f:
            os.set_blocking(f.fileno(), False)
            return "content" if f.read(1) else "empty"
    except OSError as error:
        return name(error)


def paths():
    """What should be hidden, and what should not be writable."""
    for path in MASKED:
        yield f"see {path}", look(path)
    for top in READ_ONLY:
        writable = []
        for folder, folders, files in os.walk(top):
            writable += [
                p
                for p in (os.path.join(folder, f) for f in [*files, *folders])
                if not os.path.islink(p) and os.access(p, os.W_OK)
            ]
        yield f"set writable below {top}", sorted({depth(p) for p in writable})
    for path in REFUSES_WRITES:
        yield f"try write {path}", attempt(os.open, path, os.O_WRONLY | os.O_CLOEXEC)
    for path in ("/proc/1/root", "/proc/1/cwd", "/proc/self/cwd"):
        yield f"see more in {path} than in /", "content" if beyond(path) else "empty"


def beyond(path):
    """Whether a link of /proc shows, or refuses to show, another tree than our root."""
    try:
        return bool(set(os.listdir(path)) - set(os.listdir("/")))
    except OSError:
        return True


def depth(path):
    """A path's first five parts, so that a whole writable tree does not fill the report."""
    return "/".join(path.split("/")[:5])


def devices():
    """Nodes in /dev, and opening what is not in the allow-list after making a node of it."""
    nodes, links = [], []
    for folder, folders, files in os.walk("/dev"):
        for path in (os.path.join(folder, n) for n in [*files, *folders]):
            status = os.lstat(path)
            kind = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}.get(stat.S_IFMT(status.st_mode))
            if kind and not path.startswith("/dev/pts/"):
                where = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
                nodes.append(f"{path} {kind} {where} {stat.S_IMODE(status.st_mode):o} {status.st_uid}:{status.st_gid}")
            elif stat.S_ISLNK(status.st_mode):
                links.append(f"{path} -> {os.readlink(path)}")
    yield "set device nodes", sorted(nodes)
    yield "same links in /dev", sorted(links)
    yield "try write a node's mode", attempt(os.chmod, "/dev/null", stat.S_IMODE(os.stat("/dev/null").st_mode))
    disks = [line.split()[:2] for line in lines("/proc/partitions") if line.strip()]
    wanted = {f"disk {a}:{b}": (stat.S_IFBLK, int(a), int(b)) for a, b in disks if a.isdigit() and a != "7"}  # no loop devices
    wanted |= {what: (stat.S_IFCHR, *numbers) for what, numbers in NODES.items()}
    for what, (kind, major, minor) in wanted.items():
        yield f"try mknod {what}", attempt(os.mknod, "/probe-node", kind | 0o600, os.makedev(major, minor))
        yield f"try open {what}", attempt(os.open, "/probe-node", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        attempt(os.unlink, "/probe-node")


def mounts():
    """The mount table: type and the flags that restrict; a mask made of /dev/null counts as one."""
    for line in lines("/proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        root, target, flags = left.split()[3:6]
        restricting = [f for f in flags.split(",") if f in ("ro", "nosuid", "nodev", "noexec")]
        if root == "/null":
            restricting.append("null")
        kind = "file" if target.startswith("/etc/") else right.split()[0]
        yield f"mount {target}", {"type": "mask" if root == "/null" else kind, "flags": sorted(restricting)}
        if "shared:" in left or "master:" in left:
            yield f"same propagation of {target}", "to or from the host"


def descriptors():
    """What was open at the start: the probe must be the command itself."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{fd} {os.readlink(f'/proc/self/fd/{fd}').partition(':')[0]}")
        except FileNotFoundError:  # the one that listed
            continue
    yield "set descriptors", sorted(found)


def processes():
    """Who else is to be seen, and whose namespaces these are."""
    yield "set processes besides the probe", [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid())]
    host = json.loads(sys.argv[1])
    for kind, id in host.items():
        yield f"set namespaces of the host: {kind}", [kind] if os.readlink(f"/proc/self/ns/{kind}") == id else []
    yield "set network interfaces", sorted(n for n in os.listdir("/sys/class/net"))
    yield "set System V ipc", [line.split()[1] for f in ("msg", "sem", "shm") for line in lines(f"/proc/sysvipc/{f}")[1:]]
    for key in ("kernel/hostname", "kernel/domainname"):
        yield f"try write /proc/sys/{key}", attempt(os.open, f"/proc/sys/{key}", os.O_WRONLY | os.O_CLOEXEC)
    for key in ("ip_unprivileged_port_start", "ping_group_range", "ip_forward"):
        yield f"same net.ipv4.{key}", " ".join(read(f"/proc/sys/net/ipv4/{key}").split())


def groups():
    """The cgroup tree: nothing may be made or changed there."""
    for line in lines("/proc/self/mountinfo"):
        target, kind = line.split()[4], line.partition(" - ")[2].split()[0]
        if not kind.startswith("cgroup"):
            continue
        yield f"try mkdir {target}", attempt(lambda d=target: os.mkdir(f"{d}/probe") or os.rmdir(f"{d}/probe"))
        for file in ("release_agent", "notify_on_release", "cgroup.procs", "tasks", "devices.allow", "cgroup.subtree_control",
                     "memory.limit_in_bytes", "cgroup.kill"):  # fmt: skip
            yield f"try write {target}/{file}", attempt(os.open, f"{target}/{file}", os.O_WRONLY | os.O_CLOEXEC)
        parts = [line.split(":", 2)[2].strip() for line in lines("/proc/self/cgroup")]
    yield "set cgroup paths that name no container", [p for p in parts if len(p.rpartition("/")[2]) != 64 and p != "/"]


def calls():
    """System calls that would leave the container or reach the machine."""
    for what, (x86, arm, arguments) in CALLS.items():
        if X86 or arm >= 0:
            yield f"try {what}", in_child(lambda n=x86 if X86 else arm, a=arguments: call(n, a))
    yield "try mount a tmpfs", in_child(lambda: libc_call("mount", b"none", b"/tmp", b"tmpfs", 0, None))
    yield "try mount proc", in_child(lambda: libc_call("mount", b"proc", b"/tmp", b"proc", 0, None))
    yield "try mount a cgroup", in_child(lambda: libc_call("mount", b"c", b"/tmp", b"cgroup", 0, b"memory"))
    yield "try remount /proc/sys", in_child(lambda: libc_call("mount", None, b"/proc/sys", None, 0x20 | 0x1000, None))
    yield "try umount a mask", in_child(lambda: libc_call("umount2", b"/proc/keys", 2))
    yield "try set the host name", in_child(lambda: libc_call("sethostname", b"probe", 5))
    yield "try set the domain name", in_child(lambda: libc_call("setdomainname", b"probe", 5))
    yield "try setns into pid 1's mounts", in_child(lambda: libc_call("setns", os.open("/proc/1/ns/mnt", os.O_RDONLY), 0))
    yield "try ptrace a child", in_child(trace_child)
    yield "try raise a hard limit", in_child(lambda: attempt(resource.setrlimit, resource.RLIMIT_NOFILE, (1 << 21, 1 << 21)))
    yield "try lower oom_score_adj", in_child(lambda: attempt(lower_oom_score))
    yield "try be nicer than nice", in_child(lambda: attempt(os.setpriority, os.PRIO_PROCESS, 0, -5))
    for what, arguments in SOCKETS.items():
        yield f"try a socket: {what}", attempt(lambda a=arguments: socket.socket(*a).close())
    yield "try add a link", in_child(add_link)
    for folder in ("/", "/dev", "/dev/shm", "/proc", "/sys", "/etc"):
        yield (
            f"try make a file in {folder}",
            attempt(lambda d=folder: os.close(os.open(f"{d}/probe", os.O_CREAT | os.O_WRONLY)) or os.unlink(f"{d}/probe")),
        )


def lower_oom_score():
    """Become a later victim of the kernel's than others: needs CAP_SYS_RESOURCE."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-500")


def trace_child():
    """ptrace(2) attach to a child of our own."""
    pid = os.fork()
    if pid == 0:
        while True:
            libc.pause()
    answer = "ok" if libc.ptrace(16, pid, 0, 0) != -1 else errno.errorcode[ctypes.get_errno()]
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return answer


def add_link():
    """Set the loopback interface up, which it is (SIOCSIFFLAGS): needs CAP_NET_ADMIN."""
    request = b"lo".ljust(16, b"\0") + (0x49).to_bytes(2, sys.byteorder) + bytes(22)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        import fcntl

        return attempt(lambda: fcntl.ioctl(s, 0x8914, request) and None)


def main():
    """Everything, in the order in which nothing disturbs what comes after."""
    found = dict(descriptors())
    for part in (status, limits, paths, devices, mounts, processes, groups, calls):
        found.update(part())
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

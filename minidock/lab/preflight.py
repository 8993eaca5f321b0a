"""What this machine can do, and how to get what it cannot: the table at the head of every chapter.

Each probe tries the thing itself where trying is harmless (makes the namespace, mounts the overlay in a mount namespace of
its own, adds a veth pair in a network namespace of its own) and reads /proc where it is not. A missing feature is never
skipped in silence: its row says what is missing, and what to type to get it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from minidock.lab import facts

NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time")
_UNSHARE = {"mnt": ["--mount"], "pid": ["--pid", "--fork"]}
_KERNEL_OPTION = {"mnt": "part of every kernel", "pid": "PID_NS", "net": "NET_NS", "ipc": "IPC_NS", "uts": "UTS_NS",
                  "user": "USER_NS", "cgroup": "CGROUPS", "time": "TIME_NS"}  # fmt: skip
# The nine subsystems of the 2015 text (2.1.2), without `ns`, which left the kernel with 3.0; and those that came since:
# perf_event with 2.6.39, hugetlb with 3.6, pids with 4.3.
CONTROLLERS = (
    "blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "net_cls", "perf_event", "hugetlb", "pids",
)  # fmt: skip


@dataclass(frozen=True)
class Feature:
    """One row: its `name`, whether it is `present`, what was `found`, and `how` to get it (text, or a command)."""

    name: str
    present: bool
    found: str
    how: str = ""


@dataclass(frozen=True, repr=False)
class Report:
    """The table, for a notebook (HTML) or a terminal (text). `needs` are the names this chapter cannot do without."""

    features: tuple[Feature, ...]
    needs: tuple[str, ...] = ()
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def missing(self) -> list[Feature]:
        """The rows that are not present, in order."""
        return [f for f in self.features if not f.present]

    @property
    def blocking(self) -> list[Feature]:
        """The missing rows that this chapter needs."""
        return [f for f in self.missing if f.name in self.needs]

    def has(self, name: str) -> bool:
        """Whether the feature `name` is present. Raises KeyError for a name that is no row."""
        return {f.name: f.present for f in self.features}[name]

    def verdict(self) -> str:
        """One stable line: can this chapter run here?"""
        if not self.blocking:
            return "this chapter can run on this machine: PASS"
        return "this chapter can run on this machine: FAIL\n" + "\n".join(f"  {f.name}: {f.how}" for f in self.blocking)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        wide = max(len(f.name) for f in self.features)
        lines = []
        for f in self.features:
            lines.append(f"{'yes' if f.present else 'NO '} {f.name:<{wide}}  {f.found}")
            if not f.present:
                lines.append(f"    {'':<{wide}}  → {f.how}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(map(self._row, self.features))
        head = "".join(f'<th style="text-align:left">{h}</th>' for h in ("", "feature", "found", "how to get it"))
        about = ", ".join(f"{k} {v}" for k, v in self.facts.items())
        return f"<p><small>{escape(about)}</small></p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _row(self, f: Feature) -> str:
        mark, colour = ("✔", "#009E73") if f.present else ("✘", "#D55E00")
        name = f"<b>{escape(f.name)}</b>" if f.name in self.needs else escape(f.name)
        cells = (f'<b style="color:{colour}">{mark}</b>', name, escape(f.found), "" if f.present else escape(f.how))
        styles = ("", "white-space:nowrap;", "", "")
        return (
            "<tr>" + "".join(f'<td style="{s}text-align:left">{c}</td>' for s, c in zip(styles, cells, strict=True)) + "</tr>"
        )


def preflight(needs: Iterable[str] = ()) -> Report:
    """Probe everything (about 50 ms). `needs` are row names ("namespace net"); an unknown one raises ValueError."""
    features = tuple(f for probe in _PROBES for f in probe())
    unknown = set(needs) - {f.name for f in features}
    if unknown:
        raise ValueError(f"no such feature: {', '.join(sorted(unknown))}")
    system = facts.system_facts()
    memory = f"{int(system['memory_bytes']) / 2**30:.1f} GiB"
    about = {"kernel": system["kernel"], "on": system["machine"], "CPUs": system["cpus"], "memory": memory}
    return Report(features, tuple(needs), about)


def _tries(argv: Sequence[str]) -> tuple[bool, str]:
    """Run a harmless probe; (worked, last line of what it said)."""
    if shutil.which(argv[0]) is None:
        return False, f"{argv[0]}: command not found"
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    said = (done.stderr or done.stdout).strip().splitlines()
    return done.returncode == 0, said[-1] if said else ""


def _privileges() -> Iterator[Feature]:
    root = os.geteuid() == 0
    yield Feature("root", root, f"effective user id {os.geteuid()}", "start the lab with sudo ./lab")
    status = Path("/proc/self/status").read_text()
    bounding = int(re.search(r"CapBnd:\s*([0-9a-f]+)", status)[1], 16)  # type: ignore[index]
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    absent = [n for n in range(last + 1) if not bounding >> n & 1]
    names = ", ".join(_CAPABILITY.get(n, f"number {n}") for n in absent)
    yield Feature(
        "capabilities", not absent, f"outside the bounding set: {names}" if absent else f"all {last + 1} can be had",
        "a virtual machine of your own has them all (lab_vm/); minidock drops them with a warning and goes on",
    )  # fmt: skip
    seccomp = Path("/proc/sys/kernel/seccomp/actions_avail")
    yield Feature("seccomp", seccomp.exists(), "filters" if seccomp.exists() else "none", "a kernel with SECCOMP_FILTER")
    apparmor = Path("/sys/kernel/security/apparmor")
    yield Feature("apparmor", apparmor.exists(), "on" if apparmor.exists() else "off", "boot with security=apparmor")


def _namespaces() -> Iterator[Feature]:
    for name in NAMESPACES:
        worked, said = _tries(["unshare", *_UNSHARE.get(name, [f"--{name}"]), "true"])
        how = f"a kernel with {_KERNEL_OPTION[name]}"
        if name == "user" and not worked:
            how += "; or: sysctl -w user.max_user_namespaces=10000"
        yield Feature(f"namespace {name}", worked, "can be made" if worked else said, how)


def _cgroups() -> Iterator[Feature]:
    version = facts.cgroup_version()
    how = "mount -t cgroup2 none /sys/fs/cgroup, or boot with systemd.unified_cgroup_hierarchy=1"
    yield Feature("cgroups", version > 0, f"version {version}" if version else "not mounted", how)
    v1 = {row.split()[0] for row in Path("/proc/cgroups").read_text().splitlines()[1:] if row.split()[3] == "1"}
    mounted = set()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup " in line:
            mounted |= set(line.split()[-1].split(","))
    unified = Path("/sys/fs/cgroup/cgroup.controllers")
    mounted |= {"blkio" if c == "io" else c for c in (unified.read_text().split() if unified.exists() else [])}
    if version == 2:
        mounted |= {"cpuacct", "devices", "freezer", "perf_event"}  # part of cpu, an eBPF program, a core file, implicit
    for name in CONTROLLERS:
        state = "mounted" if name in mounted else "built, not mounted" if name in v1 else "not built"
        how = f"mount -t cgroup -o {name} none /some/empty/folder" if name in v1 else "a kernel with this controller"
        yield Feature(f"controller {name}", name in mounted, state, how)


def _storage() -> Iterator[Feature]:
    known = Path("/proc/filesystems").read_text().split()
    script = (
        "mount -t tmpfs t /mnt && cd /mnt && mkdir lower upper work merged && "
        "mount -t overlay o -o lowerdir=lower,upperdir=upper,workdir=work merged"
    )
    worked, said = _tries(["unshare", "--mount", "sh", "-c", script])
    yield Feature("overlay", worked, "can be mounted" if worked else said, "modprobe overlay")
    yield Feature(
        "aufs", "aufs" in known, "built in" if "aufs" in known else "not in this kernel",
        "never merged into Linux: needs a patched kernel (Debian's aufs-dkms, Ubuntu before 21.10); overlay takes its place",
    )  # fmt: skip
    swaps = Path("/proc/swaps").read_text().splitlines()[1:] if Path("/proc/swaps").exists() else []
    how = "fallocate -l 512M /swapfile; chmod 600 /swapfile; mkswap /swapfile; swapon /swapfile"
    yield Feature("swap", bool(swaps), f"{len(swaps)} area(s)" if swaps else "none configured", how)


def _processors() -> Iterator[Feature]:
    count = len(os.sched_getaffinity(0))
    yield Feature("two processors", count > 1, str(count), "give the virtual machine a second one")


def _network() -> Iterator[Feature]:
    script = (
        "ip link add name left type veth peer name right && ip link add name bridge type bridge && "
        "ip link set left master bridge"
    )
    worked, said = _tries(["unshare", "--net", "sh", "-c", script])
    yield Feature("veth and bridge", worked, "can be made" if worked else said, "modprobe veth bridge")
    worked, said = _tries(["unshare", "--net", "iptables", "-w", "-t", "nat", "-L", "-n"])
    yield Feature("iptables nat", worked, "works" if worked else said, "apt-get install iptables; modprobe nf_nat")


def _commands() -> Iterator[Feature]:
    for command, package in (("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2"), ("ps", "procps"),
                             ("nft", "nftables")):  # fmt: skip
        path = shutil.which(command)
        yield Feature(f"command {command}", path is not None, path or "not found", f"apt-get install {package}")


_PROBES: tuple[Callable[[], Iterator[Feature]], ...] = (
    _privileges,
    _namespaces,
    _cgroups,
    _processors,
    _storage,
    _network,
    _commands,
)
_CAPABILITY = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW", 16: "CAP_SYS_MODULE", 17: "CAP_SYS_RAWIO", 18: "CAP_SYS_CHROOT",
               19: "CAP_SYS_PTRACE", 21: "CAP_SYS_ADMIN", 22: "CAP_SYS_BOOT", 23: "CAP_SYS_NICE", 24: "CAP_SYS_RESOURCE",
               25: "CAP_SYS_TIME", 27: "CAP_MKNOD", 34: "CAP_SYSLOG", 38: "CAP_PERFMON", 39: "CAP_BPF"}  # fmt: skip

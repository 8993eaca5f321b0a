"""Chapter 03: namespaces."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidock import errors
from minidock.lab import chapter, quiz
from minidock.lab.checks import NotAttempted, answered, expect, register
from minidock.linux import namespaces

KINDS = tuple(sorted(namespaces.FLAG))


def own_kinds(pid: int) -> set[str]:
    """The kinds of namespace that process `pid` does not share with us."""
    return {kind for kind in KINDS if namespaces.identity(kind, pid) != namespaces.identity(kind)}


def _pid(name: str) -> int:
    """The first process of the running container `name`, as the host numbers it; NotAttempted if it is not there."""
    try:
        container = chapter.current().client.containers.get(name)
    except errors.NotFound:
        raise NotAttempted(f"there is no container named {name} yet") from None
    expect(container.status == "running", f"{name} is there, but it is {container.status}, not running")
    return int(container.attrs["State"]["Pid"])


@register("03-own", "observe", "the set of namespaces that a default container does not share with the host")
def own(answer: Any) -> str:
    """Compared with a default container started now: its namespaces against ours, by device and inode."""
    given = answered(answer)
    expect(isinstance(given, set | frozenset | list | tuple), "the answer should be a set of names, like {'pid', 'net'}")
    unknown = set(given) - set(KINDS)
    expect(not unknown, f"no kind of namespace: {', '.join(map(str, sorted(unknown)))}")
    container = chapter.current().run("busybox", ["sleep", "60"], detach=True)
    try:
        real = own_kinds(int(chapter.current().client.containers.get(container.id).attrs["State"]["Pid"]))
    finally:
        container.remove(force=True)
    expect(not set(given) - real, "at least one of these is shared with the host")
    expect(set(given) == real, f"{len(real - set(given))} of its own are missing from your set")
    return ", ".join(sorted(real))


@register("03-zombies", "observe", "how many zombies 7 orphans leave under a pid 1 that never waits")
def zombies(answer: Any) -> str:
    """Seven orphans, and a pid 1 that sleeps: counted here, now."""
    expect(isinstance(answered(answer), int), "the answer should be a whole number (an int)")
    count = count_zombies(7, init=False)
    expect(answer == count, f"counting now gives another number than {answer}")
    return f"{count} counted"


def count_zombies(orphans: int, *, init: bool) -> int:
    """Leave `orphans` children without a parent in a container whose command never waits; the zombies it then holds.

    They are made by an exec: its shell's subshells end at once, so their children get the container's pid 1 as parent.
    """
    container = chapter.current().run("busybox", ["sleep", "60"], detach=True, init=init)
    try:
        pid = int(chapter.current().client.containers.get(container.id).attrs["State"]["Pid"])
        container.exec_run(["sh", "-c", f"for i in $(seq {orphans}); do (true &); done"])
        return _settled(lambda: zombies_in(pid))
    finally:
        container.remove(force=True)


def zombies_in(init: int) -> int:
    """The processes in state Z that belong to the pid namespace of the process `init` (a host pid)."""
    inside = namespaces.identity("pid", init)
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            status = Path(f"/proc/{name}/status").read_text()
            if namespaces.identity("pid", int(name)) != inside:
                continue
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended while we looked, or it is the host's and holds a capability that we do not
        count += "\nState:\tZ" in status
    return count


def _settled(look: Callable[[], int], quiet: int = 20) -> int:
    """The value that `look` gives `quiet` times in a row, 5 ms apart (at most 5 s)."""
    last, same, deadline = look(), 0, time.monotonic() + 5
    while same < quiet and time.monotonic() < deadline:
        time.sleep(0.005)
        now = look()
        last, same = now, same + 1 if now == last else 0
    return last


@register("03-share", "modify", "lab03-guest in the pid namespace of lab03-owner, each with a network namespace of its own")
def share(_answer: Any) -> str:
    """Looks at the two containers of these names."""
    owner, guest = _pid("lab03-owner"), _pid("lab03-guest")
    expect(namespaces.identity("pid", owner) != namespaces.identity("pid"), "lab03-owner is in the host's pid namespace")
    same = namespaces.identity("pid", owner) == namespaces.identity("pid", guest)
    expect(same, "lab03-guest has another pid namespace than lab03-owner")
    apart = namespaces.identity("net", owner) != namespaces.identity("net", guest)
    expect(apart, "they share a network namespace; only the pid namespace was asked for")
    return "one pid namespace, two network namespaces"


@register("03-rename", "modify", "lab03-owner's host name changed from outside to 'renamed', the host's own unchanged")
def rename(_answer: Any) -> str:
    """Reads the host name inside the container's UTS namespace."""
    pid = _pid("lab03-owner")
    inside = subprocess.run(["nsenter", "--target", str(pid), "--uts", "hostname"], capture_output=True, text=True, check=True)
    name = inside.stdout.strip()
    expect(socket.gethostname() != "renamed", "the host itself is now called 'renamed': the change was made in its namespace")
    if name == chapter.current().client.containers.get("lab03-owner").id[:12]:
        raise NotAttempted("lab03-owner still has the name that it was born with")
    expect(name == "renamed", f"lab03-owner is now called {name!r}")
    return "the container is called 'renamed', the host is not"


@register("03-uptime", "build", "a function uptime_in(days) that returns /proc/uptime's first number in a time namespace")
def uptime(answer: Any) -> str:
    """Calls the function with 1000 days; its answer must be the host's uptime and a thousand days, ours unchanged."""
    expect(callable(answered(answer)), "the answer should be a function")
    before = namespaces.identity("time")
    value = answer(1000)
    if value is ...:
        raise NotAttempted("the function still returns its placeholder")
    host = float(Path("/proc/uptime").read_text().split()[0])
    expect(namespaces.identity("time") == before, "the notebook itself has changed its time namespace")
    expect(isinstance(value, int | float), f"the function should return a number, not {type(value).__name__}")
    away = (value - host) / 86400
    expect(abs(away - 1000) < 0.01, f"it says {away:.1f} days more than the host's uptime")
    return f"{away:.2f} days ahead of the host"


@register("03-contain", "build", "a function contain(argv) that runs argv in pid, mnt, uts, ipc and net namespaces of its own")
def contain(answer: Any) -> str:
    """Calls the function with a script that looks around, and reads what it printed."""
    expect(callable(answered(answer)), "the answer should be a function")
    kinds = ("pid", "mnt", "uts", "ipc", "net")
    script = "echo $$; ls /proc | grep -c '^[0-9]'; " + "; ".join(f"readlink /proc/self/ns/{k}" for k in kinds)
    said = answer(["sh", "-c", script])
    if said is ...:
        raise NotAttempted("the function still returns its placeholder")
    expect(isinstance(said, str), f"the function should return the output as a str, not {type(said).__name__}")
    lines = said.split()
    expect(len(lines) == 2 + len(kinds), f"{len(lines)} words of output instead of {2 + len(kinds)}: {said!r}")
    shared = [k for k, line in zip(kinds, lines[2:], strict=True) if line == os.readlink(f"/proc/self/ns/{k}")]
    expect(not shared, f"still shared with the host: {', '.join(shared)}")
    expect(lines[0] == "1", f"the command sees itself as pid {lines[0]}")
    expect(int(lines[1]) <= 4, f"its /proc shows {lines[1]} processes: it is the host's")
    return "pid 1, alone in its /proc, five namespaces of its own"


quiz.add(
    "03-kernel",
    "`uname -r` in a container whose image is Debian 13, on a host that runs Debian 12: whose kernel release does it print?",
    ("that of Debian 13", "that of the host", "it depends on the UTS namespace"),
    1,
    "The UTS namespace holds the host name and the domain name; release and version are the kernel's, and there is one kernel.",
)
quiz.add(
    "03-pid-join",
    "A process calls setns() on a pid namespace. Which pid does it have there?",
    ("1", "the next free number", "none: only its children will be in it"),
    2,
    "A process's pid never changes while it lives (pid_namespaces(7)); nsenter --pid therefore forks.",
)
quiz.add(
    "03-root",
    "Without a user namespace, root in a container is, for the host's kernel,",
    ("nobody", "uid 0, with the capabilities that were left to it", "uid 0, with all capabilities"),
    1,
    "The uid is the host's 0: what holds it back is the 14 capabilities, seccomp, the device cgroup and the mount namespace.",
)

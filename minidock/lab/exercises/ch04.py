"""Chapter 04: control groups by hand."""

from __future__ import annotations

import sys
from typing import Any

from minidock import errors
from minidock.lab import cgroups, chapter, quiz
from minidock.lab.checks import NotAttempted, answered, expect, register
from minidock.libcontainer.cgroups import manager
from minidock.libcontainer.cgroups.hierarchy import read

MIB = 1 << 20
# Forks as long as it may (at most as often as its argument says), tells how often, and takes its children away again.
FORKS = """
import os, signal, sys
children = []
try:
    while len(children) < int(sys.argv[1]):
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except BlockingIOError:  # EAGAIN
    pass
print(len(children), flush=True)
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


def forks(most: int) -> list[str]:
    """The command line of a program that tries `most` forks and prints how many were granted."""
    return [sys.executable, "-c", FORKS, str(most)]


def container_file(name: str, file: str) -> str:
    """What the kernel holds in `file` of the running container `name`. NotAttempted if there is no such container."""
    try:
        container = chapter.current().client.containers.get(name)
    except errors.NotFound:
        raise NotAttempted(f"there is no container named {name} yet") from None
    expect(container.status in ("running", "paused"), f"{name} is there, but it is {container.status}, not running")
    paths = manager(chapter.current().engine.paths.cgroup(container.id)).paths()
    return read(f"{paths[file.partition('.')[0]]}/{file}").strip()


@register("04-refused", "observe", "the name of the file of a pids cgroup that counts refused forks")
def refused(answer: Any) -> str:
    """Has forks refused in a new cgroup, and looks whether the file counted."""
    name = answered(answer)
    expect(isinstance(name, str), "the answer should be a file's name (a str)")
    with cgroups.Group("asked", "pids") as group:
        expect("/" not in name and (group["pids"] / name).is_file(), f"a pids cgroup has no file {name!r}")
        expect(name != "cgroup.procs" and name != "tasks", "this file lists processes, it counts nothing")
        group.write("pids.max", 3)
        before = group.read(name) if _readable(group, name) else None
        expect(before is not None, f"{name} can only be written")
        group.start(forks(9)).communicate()
        after = group.read(name)
    expect(after != before, f"{name} said the same before and after a fork was refused")
    expect("max" in after.split(), f"{name} changed, but it does not count refusals")
    return f"{name} said {before!r} before, {after!r} after"


def _readable(group: cgroups.Group, name: str) -> bool:
    return bool((group["pids"] / name).stat().st_mode & 0o400)


TOUCH = """
import mmap, sys
memory = mmap.mmap(-1, int(sys.argv[1]))
for page in range(0, len(memory), mmap.PAGESIZE):
    memory[page] = 1
    if page % 262144 == 0:
        print(page, flush=True)
print(len(memory), flush=True)
"""


def limit_memory(group: cgroups.Group, limit: int) -> None:
    """Let `group` have `limit` bytes and no swap beyond them (memory before memory+swap, or v1 refuses)."""
    group.write(cgroups.file("memory limit"), limit)
    if (group["memory"] / cgroups.file("memory+swap limit")).exists():  # a kernel without swap has nothing to forbid
        group.write(cgroups.file("memory+swap limit"), limit if cgroups.version() == 1 else 0)


def oom_kills(group: cgroups.Group) -> int:
    """How many processes the kernel killed in `group` for lack of memory."""
    return group.number("memory.oom_control" if cgroups.version() == 1 else "memory.events", "oom_kill")


@register("04-small", "modify", "a running container lab04-small: 512 CPU shares, at most 20 processes, 48 MiB of memory")
def small(_answer: Any) -> str:
    """Reads what the kernel holds for it, not what was asked for."""
    weight = {"cpu.shares": "512", "cpu.weight": "59"}[cgroups.file("weight")]
    wanted = {"weight": weight, "processes": "20", "memory limit": str(48 * MIB)}
    for what, value in wanted.items():
        file = cgroups.file(what)
        held = container_file("lab04-small", file)
        expect(held == value, f"the kernel's {file} of lab04-small is {held}")
    return ", ".join(f"{cgroups.file(what)} {value}" for what, value in wanted.items())


@register("04-live", "modify", "the running lab04-small's limit of processes changed to 12 in the kernel's own file")
def live(_answer: Any) -> str:
    """Reads the file; 20 is where the exercise before left it."""
    held = container_file("lab04-small", cgroups.file("processes"))
    if held == "20":
        raise NotAttempted("lab04-small still has the limit that it was started with")
    expect(held == "12", f"pids.max of lab04-small is {held}")
    return "pids.max is 12, and the container never stopped"


@register("04-cold", "modify", "a container lab04-cold whose processes are all stopped by the kernel's freezer")
def cold(_answer: Any) -> str:
    """Reads the freezer; a process that was sent SIGSTOP is not frozen."""
    if cgroups.version() == 1:
        frozen = container_file("lab04-cold", "freezer.state") == "FROZEN"
    else:
        frozen = "frozen 1" in container_file("lab04-cold", "cgroup.events")
    expect(frozen, "the freezer says that lab04-cold's processes may run")
    return "frozen"


@register("04-cpu", "build", "a function cpu_seconds(id): CPU seconds a running container has used, read from its cgroup")
def cpu(answer: Any) -> str:
    """Asked twice of a container that works in between; each answer must lie between two readings of ours."""
    expect(callable(answered(answer)), "the answer should be a function")
    script = "while read -r line; do i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done; echo done; done < /pipe"
    container = chapter.current().run("busybox", ["sh", "-c", f"mkfifo /pipe; echo up; exec 3<>/pipe; {script}"], detach=True)
    try:
        _until_it_says(container, "up")
        said = []
        for work in range(2):
            if work:
                container.exec_run(["sh", "-c", "echo go > /pipe"])
                _until_it_says(container, "done")
            before = used_seconds(container.id)
            value = answer(container.id)
            if value is ...:
                raise NotAttempted("the function still returns its placeholder")
            expect(isinstance(value, int | float), f"the function should return a number, not {type(value).__name__}")
            after = used_seconds(container.id)
            expect(before - 1e-4 <= value <= after + 1e-4, f"it says {value:.3g} s, the kernel {after:.3g} s")
            said.append(value)
    finally:
        container.remove(force=True)
    return f"{said[0]:.2f} s before its work, {said[1]:.2f} s after"


def used_seconds(id: str) -> float:
    """CPU seconds of a container, our own reading."""
    paths = manager(chapter.current().engine.paths.cgroup(id)).paths()
    if cgroups.version() == 1:
        return int(read(f"{paths['cpuacct']}/cpuacct.usage")) / 1e9
    return int(dict(line.split() for line in read(f"{paths['']}/cpu.stat").splitlines())["usage_usec"]) / 1e6


def _until_it_says(container: Any, word: str) -> None:
    """Wait for a line in the container's log."""
    for chunk in container.logs(stream=True, follow=True):
        if word in chunk.decode():
            return


@register("04-few", "build", "a function few(argv, most): run a command in a cgroup with at most `most` processes")
def few(answer: Any) -> str:
    """Hands it a program that forks as often as it may, with two different limits; no cgroup may be left."""
    expect(callable(answered(answer)), "the answer should be a function")
    before = _ours()
    for most in (5, 12):
        said = answer(forks(40), most)
        if said is ...:
            raise NotAttempted("the function still returns its placeholder")
        expect(isinstance(said, str), f"the function should return the output as a str, not {type(said).__name__}")
        expect(said.strip().isdigit(), f"the program printed a number, your function returned {said!r}")
        expect(int(said) + 1 == most, f"with a limit of {most}, {int(said) + 1} processes were there at once")
    left = _ours() - before
    expect(not left, f"your function leaves {len(left)} cgroup(s) behind")
    return "5 and 12, and no cgroup left"


def _ours() -> set[str]:
    """The cgroups below the chapter's own one in the pids hierarchy."""
    return {str(p) for p in cgroups.top("pids").rglob("*") if p.is_dir()}


quiz.add(
    "04-task",
    "The 2015 text says: create a file `task` in the new folder and write the pid into it. What does the kernel do?",
    (
        "it makes the file, and the process is limited",
        "it refuses: only the kernel makes files in a cgroup",
        "it makes the file, and nothing else happens",
    ),
    1,
    "mkdir makes the cgroup with all of its files; the one to write to is `cgroup.procs` (or v1's `tasks`, for one thread).",
)
quiz.add(
    "04-frozen",
    "A process is frozen by cgroup v1's freezer, then gets kill -9. When does it end?",
    ("at once", "when it is thawed", "never"),
    1,
    "v1 holds it in the refrigerator until it is thawed; v2's freezer lets a frozen process be killed.",
)
quiz.add(
    "04-alone",
    "One group has 50 CPU shares, nobody else wants the CPU. How much of it does the group get?",
    ("5 %", "all of it", "50 of 1024 parts"),
    1,
    "Shares are a ratio between those who want to run at the same moment. An upper bound is the quota's business.",
)

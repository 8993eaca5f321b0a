"""Chapter 09: memory and swap."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from minidock import errors
from minidock.lab import chapter, counters, facts, quiz
from minidock.lab.checks import NotAttempted, answered, expect, register
from minidock.lab.watch import watch
from minidock.libcontainer import cgroups

MIB = 1 << 20

# Takes memory page by page, says each MiB that it has written, then waits for the end of its input.
HOG = """\
import mmap, sys, time
size, pause = int(sys.argv[1]), float((sys.argv[2:] or [0])[0])
block = mmap.mmap(-1, size << 20, flags=mmap.MAP_PRIVATE)     # addresses only: no page is taken yet
for at in range(0, size << 20, 4096):
    block[at] = 1                                             # the first write takes the page
    if at % (1 << 20) == (1 << 20) - 4096:
        print((at >> 20) + 1, flush=True)
        time.sleep(pause)
print("all", flush=True)
sys.stdin.read()
"""


def stress(megabytes: int, **limits: Any) -> dict[str, Any]:
    """``stress --vm`` with so many MiB in a container: a row with size, memory and swap (bytes), and how it went.

    Those at the moment when it held most. ``outcome`` is "all written", or what became of it. Looked at until all was written
    or the container had ended.
    """
    argv = ["stress", "--vm", "1", "--vm-bytes", f"{megabytes}M", "--vm-hang", "0"]
    container = chapter.current().run("lab", argv, detach=True, **limits)
    try:
        rows = watch(container, seconds=6, every=0.005, until=lambda r: r["memsw"] >= megabytes * MIB)
        most = max(rows, key=lambda r: r["memsw"])
        row = {"size": megabytes, "memory": most["memory"], "swap": most["swap"], "outcome": "all written"}
        if rows[-1]["memsw"] < megabytes * MIB:
            code = container.wait(timeout=10)["StatusCode"]
            container.reload()
            killed = "killed (OOM), " if container.attrs["State"]["OOMKilled"] else ""
            row["outcome"] = f"{killed}exit code {code}"
        return row
    finally:
        container.remove(force=True)


def hog(megabytes: int, **limits: Any) -> dict[str, Any]:
    """The HOG as a child of a container's shell: ``reach``, the last MiB that it wrote, and the kernel's counters after it.

    The shell outlives the child, so the counters are still there: ``memory_peak`` and ``memory_limit`` in bytes among them.
    """
    script = 'python3 -c "$0" "$1" < /dev/null; echo over; exec sleep 300'
    container = chapter.current().run("lab", ["sh", "-c", script, HOG, str(megabytes)], detach=True, **limits)
    try:
        numbers = [int(word) for word in said_until(container, "over") if word.isdigit()]
        group = counters.group(container)
        return {"reach": numbers[-1] if numbers else 0, **group.read("memory"), **group.held()}
    finally:
        container.remove(force=True)


def said_until(container: Any, word: str) -> list[str]:
    """The words that a running container prints, up to `word` (a line of its own), or all if it ends before."""
    text = b""
    for chunk in container.logs(stream=True, follow=True):
        text += chunk
        if f"{word}\n".encode() in text:
            break
    return text.decode().split()


def squeezed(pool: int = 48, quiet: int = 24, loud: int = 40, **options: Any) -> int:
    """Bytes in swap of a quiet container (`quiet` MiB, started with `options`) whose neighbour wants `loud` of `pool` MiB.

    Both sit below one group, the pool, whose memory is limited and whose swap is not. The neighbour uses its memory again and
    again: each time the kernel looks for pages it asks one of the two groups, and in the end both (v2's shrink_node_memcgs).
    """
    group = cgroups.manager("/lab09-pool")
    folder = Path(group.paths()["memory" if facts.cgroup_version() == 1 else ""])
    with ExitStack() as undo:
        undo.callback(group.remove)
        first = _held_in("/lab09-pool", quiet, undo, **options)
        (folder / ("memory.limit_in_bytes" if facts.cgroup_version() == 1 else "memory.max")).write_text(str(pool * MIB))
        watch(first, seconds=5, until=lambda r: r["memsw"] >= quiet * MIB)
        second = _held_in("/lab09-pool", loud, undo, again=True)
        watch(second, seconds=8, until=lambda r: r["memsw"] >= loud * MIB)
        return int(watch(first, seconds=0.5, until=lambda r: r["swap"] > quiet * MIB // 2)[-1]["swap"])


def _held_in(parent: str, megabytes: int, undo: ExitStack, *, again: bool = False, **options: Any) -> Any:
    """A container below the cgroup `parent` that takes `megabytes` MiB and keeps them, writing to them once or always `again`;
    removed by `undo`."""
    argv = ["stress", "--vm", "1", "--vm-bytes", f"{megabytes}M", *(["--vm-keep"] if again else ["--vm-hang", "0"])]
    container = chapter.current().run("lab", argv, detach=True, cgroup_parent=parent, **options)
    undo.callback(container.remove, force=True)
    return container


def contest(swappiness: int, own: int = 20, file: int = 40, times: int = 4) -> int:
    """Bytes in swap when a container with `own` MiB of its own reads a file of `file` MiB `times` times, under 32 MiB."""
    argv = ["stress", "--vm", "1", "--vm-bytes", f"{own}M", "--vm-hang", "0"]
    container = chapter.current().run("lab", argv, detach=True, mem_limit="32m", mem_swappiness=swappiness)
    try:
        watch(container, seconds=5, until=lambda r: r["memsw"] >= own * MIB)
        script = f"dd if=/dev/zero of=/file bs=1M count={file} conv=fsync 2>/dev/null; "
        script += f"for i in $(seq {times}); do cat /file > /dev/null; done"
        container.exec_run(["sh", "-c", script])
        return int(counters.counters(container, "memory")["swap"])
    finally:
        container.remove(force=True)


def _running(name: str) -> Any:
    """The running container `name`; NotAttempted if it is not there."""
    try:
        container = chapter.current().client.containers.get(name)
    except errors.NotFound:
        raise NotAttempted(f"there is no container named {name} yet") from None
    expect(container.status == "running", f"{name} is there, but it is {container.status}, not running")
    return container


@register("09-swap-bytes", "observe", "how many bytes of swap -m 40m --memory-swap 100m leaves")
def swap_bytes(answer: Any) -> str:
    """Compared with what the kernel holds for such a container, started now."""
    expect(isinstance(answered(answer), int), "the answer should be a whole number of bytes (an int)")
    container = chapter.current().run("busybox", ["sleep", "60"], detach=True, mem_limit="40m", memswap_limit="100m")
    try:
        held = counters.group(container).held()
    finally:
        container.remove(force=True)
    swap = held["memsw_limit"] - held["memory_limit"]
    expect(answer != held["memsw_limit"], "that is memory and swap together")
    expect(answer == swap, f"the kernel holds another number than {answer}")
    return f"the kernel holds {held['memsw_limit']} for both, {held['memory_limit']} for memory"


@register("09-stress-code", "observe", "the exit code of a container whose pid 1 is stress, when its worker is killed")
def stress_code(answer: Any) -> str:
    """Compared with such a container, run now."""
    expect(isinstance(answered(answer), int), "the answer should be a whole number (an int)")
    argv = ["stress", "--vm", "1", "--vm-bytes", "64M", "--vm-hang", "0"]
    container = chapter.current().run("lab", argv, detach=True, mem_limit="16m", memswap_limit="16m")
    try:
        code = container.wait(timeout=20)["StatusCode"]
    finally:
        container.remove(force=True)
    expect(answer == code, f"it was just run, and did not end with {answer}")
    return f"it just ended with {code}"


@register("09-noswap", "modify", "lab09-tight running with 24 MiB of memory and no swap")
def noswap(_answer: Any) -> str:
    """Reads what the kernel holds for the container of that name."""
    held = counters.group(_running("lab09-tight")).held()
    expect(held["memory_limit"] is not None, "lab09-tight runs without a limit of memory")
    expect(held["memory_limit"] == 24 * MIB, f"its memory is limited to {held['memory_limit']} bytes")
    expect(held["memsw_limit"] is not None, "its swap is not limited")
    swap = held["memsw_limit"] - held["memory_limit"]
    expect(swap == 0, f"it may use {swap} bytes of swap")
    return "24 MiB, and not one byte of swap"


@register("09-raise", "modify", "the running lab09-grow raised to 48 MiB of memory and as much of swap")
def raised(_answer: Any) -> str:
    """Reads what the kernel holds, and what inspect says: both must have changed, and the container must never have stopped."""
    container = _running("lab09-grow")
    held = counters.group(container).held()
    if held["memory_limit"] == 16 * MIB:
        raise NotAttempted("lab09-grow still has the 16 MiB that it was started with")
    expect(held["memory_limit"] == 48 * MIB, f"its memory is now limited to {held['memory_limit']} bytes")
    expect(held["memsw_limit"] == 96 * MIB, f"its memory and swap together are limited to {held['memsw_limit']} bytes")
    told = container.attrs["HostConfig"]
    agrees = (told["Memory"], told["MemorySwap"]) == (48 * MIB, 96 * MIB)
    expect(agrees, f"the kernel has it, but inspect still says {told['Memory']} and {told['MemorySwap']}")
    return "48 MiB and 48 MiB of swap, in the kernel and in inspect"


@register("09-room", "build", "a function room(container) that returns the bytes left before the OOM killer comes")
def room(answer: Any) -> str:
    """Asks for the room of a container that holds some, compares with the kernel's counters within 2 MiB, then takes more."""
    expect(callable(answered(answer)), "the answer should be a function")
    argv = ["python3", "-c", HOG, "20"]
    container = chapter.current().run("lab", argv, detach=True, stdin_open=True, mem_limit="32m", memswap_limit="64m")
    try:
        said_until(container, "all")
        value = answer(container)
        if value is ...:
            raise NotAttempted("the function still returns its placeholder")
        expect(isinstance(value, int), f"the function should return a whole number of bytes, not {type(value).__name__}")
        group = counters.group(container)
        left = group.held()["memsw_limit"] - group.read("memory")["memsw"]
        expect(abs(value - left) < 2 * MIB, f"it says {value / MIB:.1f} MiB; the kernel would give {left / MIB:.1f}")
        return f"{value / MIB:.1f} MiB left of 64"
    finally:
        container.remove(force=True)


@register("09-limited", "build", "a function limited(argv, size) that runs a command of the host in a memory cgroup of its own")
def limited(answer: Any) -> str:
    """Runs a small and a large program through the function: only the large one may be killed, and no cgroup may stay."""
    expect(callable(answered(answer)), "the answer should be a function")
    program = "import sys; block = bytearray(int(sys.argv[1]) << 20); block[::4096] = bytes(len(block[::4096])); print(1)"
    folder = Path(cgroups.manager("/lab09-mine").paths()["memory" if facts.cgroup_version() == 1 else ""])
    small = answer([sys.executable, "-c", program, "4"], 40 * MIB)
    if small is ...:
        raise NotAttempted("the function still returns its placeholder")
    expect(isinstance(small, int), f"the function should return an exit status (an int), not {type(small).__name__}")
    expect(small == 0, f"a program that needs little ended with {small} under 40 MiB")
    large = answer([sys.executable, "-c", program, "80"], 40 * MIB)
    expect(large != 0, "a program that wrote to 80 MiB ended well under 40 MiB: nothing held it")
    expect(large == -9, f"a program that wrote to 80 MiB ended with {large}, not by SIGKILL")
    expect(not folder.exists(), "the cgroup lab09-mine is still there")
    kept = subprocess.run([sys.executable, "-c", program, "80"], capture_output=True, check=False).returncode
    expect(kept == 0, "now the limit holds this notebook itself")
    return "the small one ended well, the large one was killed, and the cgroup is gone"


quiz.add(
    "09-free",
    "`free -m` in a container with -m 32m shows as total memory",
    ("32 MiB", "64 MiB", "the host's memory"),
    2,
    "/proc/meminfo has no namespace: it is the host's. What the container may use is in its cgroup's files only.",
)
quiz.add(
    "09-double",
    "Docker 1.8 on -m 128m alone: how much swap could the container use?",
    ("none", "128 MiB", "as much as there was"),
    2,
    "Its libcontainer no longer doubled and its daemon not yet: no limit of memory+swap was written at all.",
)
quiz.add(
    "09-oom-exec",
    "A `docker exec` in a full container starts a shell that needs one page more. Who may be killed for it?",
    ("any process of the container", "only that shell", "the daemon, which started it"),
    0,
    "The page is charged to the container's cgroup, and the kernel chooses among all its processes, by size.",
)

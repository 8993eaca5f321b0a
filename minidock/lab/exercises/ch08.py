"""Chapter 08: CPU shares, cores and quota."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from minidock import errors
from minidock.lab import chapter, counters, cpu, quiz
from minidock.lab.checks import NotAttempted, answered, expect, register
from minidock.lab.experiment import BURN
from minidock.lab.verdicts import Promise, judge
from minidock.libcontainer import cgroups

# 08-who: who has how many shares, and the place in `cpu.cores()` of the core that he is pinned to.
WHO = {"a": (1000, 0), "b": (500, 0), "c": (10, 1)}


def _running(name: str) -> counters.Group:
    """The cgroup of the running container `name`; NotAttempted if there is none."""
    try:
        container = chapter.current().client.containers.get(name)
    except errors.NotFound:
        raise NotAttempted(f"there is no container named {name} yet") from None
    expect(container.status == "running", f"{name} is there, but it is {container.status}, not running")
    return counters.group(container)


def _weight_of(**limits: Any) -> int:
    """The weight that the kernel holds for a container with these limits, started now and removed again (it sleeps)."""
    container = chapter.current().run("busybox", ["sleep", "60"], detach=True, **limits)
    try:
        return int(counters.group(container).held()["weight"])
    finally:
        container.remove(force=True)


@register("08-default", "observe", "the number that the kernel holds for a container started without -c")
def default(answer: Any) -> str:
    """Compared with a container started now without the option."""
    expect(isinstance(answered(answer), int), "the answer should be a whole number (an int)")
    held = _weight_of()
    expect(answer == held, f"a container started just now without -c holds another number than {answer}")
    return f"{held}, just read"


@register("08-who", "observe", "the share of a core that each of three busy containers gets, two of them pinned to one core")
def who(answer: Any) -> str:
    """Computed from the weights that the kernel holds for three such containers (asleep: nothing burns)."""
    given = answered(answer)
    expect(isinstance(given, dict) and set(given) == set(WHO), f"the answer should be a dict with the keys {', '.join(WHO)}")
    expect(all(isinstance(v, int | float) for v in given.values()), "the values should be numbers, like 0.25")
    weights = {name: _weight_of(cpu_shares=shares) for name, (shares, _) in WHO.items()}
    right = cpu.fair(weights, {name: place for name, (_, place) in WHO.items()})
    wrong = [name for name in WHO if abs(given[name] - right[name]) > 0.02]
    expect(not wrong, f"measured, it would be otherwise for {', '.join(wrong)}")
    return ", ".join(f"{name} {share:.0%}" for name, share in right.items())


@register("08-three", "modify", "lab08-left and lab08-right, busy on one core, left with three times the CPU time of right")
def three(_answer: Any) -> str:
    """Measures the two containers of these names."""
    left, right = _running("lab08-left"), _running("lab08-right")
    pinned = [group.held()["cpus"] for group in (left, right)]
    expect(pinned[0] == pinned[1] and len(pinned[0]) == 1, "the two are not pinned to one and the same core")
    expect(min(cpu.used([left, right], 0.2)) > 0.01, "at least one of the two uses hardly any CPU time")
    verdict = judge(Promise.near("left to right", 3.0, 0.05), lambda: cpu.ratio(left, right, 0.4), at_most=16, seconds=8)
    mean = statistics.mean(verdict.samples)
    expect(verdict, f"left gets {mean:.2f} times the CPU time of right")
    return f"{mean:.2f} times"


@register("08-quarter", "modify", "the running container lab08-slow, busy, held to a quarter of a core")
def quarter(_answer: Any) -> str:
    """Measures the container of that name, in windows of whole periods."""
    slow = _running("lab08-slow")
    window = slow.held()["period_us"] / 1e6
    window *= max(1, round(0.4 / window))
    expect(cpu.used([slow], 0.2)[0] > 0.01, "lab08-slow uses hardly any CPU time")
    verdict = judge(Promise.near("cores", 0.25, 0.03), lambda: cpu.used([slow], window)[0], at_most=16, seconds=8)
    mean = statistics.mean(verdict.samples)
    expect(verdict, f"lab08-slow uses {mean:.2f} of a core")
    return f"{mean:.3f} of a core"


@register("08-weight", "build", "a function weight(shares) that returns the cpu.weight of today's formula")
def weight(answer: Any) -> str:
    """Compared with minidock's own for many values, the two ends among them."""
    function = _function(answer, 1024)
    tried = (2, 3, 50, 100, 500, 512, 1000, 1024, 2048, 10240, 65536, 262144, 300000)
    wrong = [s for s in tried if str(function(s)) != cgroups.cpu_weight(s)]
    expect(not wrong, f"another number than runc's for {', '.join(map(str, wrong))} shares")
    return f"as runc does it, for {len(tried)} values from {tried[0]} to {tried[-1]}"


@register("08-cores", "build", "a function cores_of(container, seconds) that measures how many cores a container uses")
def cores_used(answer: Any) -> str:
    """Lets it measure a container that is held to 0.3 of a core, and measures the same seconds around it."""
    expect(callable(answered(answer)), "the answer should be a function")
    container = chapter.current().run("busybox", list(BURN), detach=True, cpu_period=20_000, cpu_quota=6_000)
    try:
        group = counters.group(container)
        before = group.read("cpu")
        given = answer(container, 1.0)
        after = group.read("cpu")
    finally:
        container.remove(force=True)
    if given is ...:
        raise NotAttempted("the function still returns its placeholder")
    lasted = (after["at_ns"] - before["at_ns"]) / 1e9
    real = (after["cpu_ns"] - before["cpu_ns"]) / 1e9 / lasted
    expect(isinstance(given, int | float), f"the function should return a number, not {type(given).__name__}")
    expect(0.8 < lasted < 3, f"it was asked for one second, and took {lasted:.2f}")
    expect(abs(given - real) < 0.1 * real, f"it says {given:.3g} for a container that used {real:.2f} cores meanwhile")
    return f"it says {given:.2f}; {real:.2f} were used"


def _function(answer: Any, *arguments: Any) -> Callable[..., Any]:
    """The answer if it is a function; NotAttempted while it returns ``...`` for `arguments`."""
    expect(callable(answered(answer)), "the answer should be a function")
    function: Callable[..., Any] = answer
    if function(*arguments) is ...:
        raise NotAttempted("the function still returns its placeholder")
    return function


quiz.add(
    "08-idle",
    "Two containers with 1000 and 10 shares on a machine with four idle cores, one busy process in each. The second one gets",
    ("1 % of a core", "about 1 % of the machine", "a core to itself"),
    2,
    "Shares say who goes first when a core is contended. Two processes on four cores never meet.",
)
quiz.add(
    "08-burst",
    "--cpus 0.5 with the usual period of 100 ms. A request needs 20 ms of CPU time and comes after a quiet second. It takes",
    ("about 20 ms", "about 40 ms", "about 100 ms"),
    0,
    "The quota is 50 ms in each period, at full speed: what is held back is only what comes after these 50 ms are used up.",
)
quiz.add(
    "08-conserving",
    "A busy container has the machine to itself. Which of --cpu-shares 2 and --cpus 0.01 makes it leave a core idle?",
    ("--cpu-shares 2", "--cpus 0.01", "both"),
    1,
    "Shares (and weights) are work-conserving, a quota is not.",
)

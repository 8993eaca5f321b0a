"""Every syscall-level step of a run, seen: who made it, on what, how long it took, and how it ended.

The thin functions in this package are decorated with `traced`; the few steps that are not one syscall (writing a state
file, one SQLite statement) are bracketed with `step`. Normally no tracer is installed and a step costs one global load and one
comparison. With a tracer installed each step becomes a `Step` record. Three users share this one mechanism:

* ``engine.trace()`` shows a reader what a run is made of (chapters 03 and 07);
* the bench draws each step's share of the time;
* the failure injection gives the tracer a `FaultPlan`: after the n-th step it raises an error, or kills the process with
  SIGKILL, and the test then looks for anything left behind.

A trace crosses processes. The engine, the shim and the container's init each have their own list; the shim and init send
theirs home as JSON in their reply (see ``shim/protocol.py``), so a tracer must never hold anything but plain data. Times are
``CLOCK_MONOTONIC`` nanoseconds, which all processes of one boot share, so the lists merge by sorting.
"""

from __future__ import annotations

import errno
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Step(NamedTuple):
    """One step: `name` of the syscall or action, `what` it was done to, the `source` function that asked for it.

    start and duration are nanoseconds of CLOCK_MONOTONIC; `errno` is 0 on success; `process` is engine, shim or init.
    """

    name: str
    what: str
    source: str
    start: int
    duration: int
    errno: int
    process: str


class FaultPlan(NamedTuple):
    """Fail right after step number `after` (1-based) in `process`: raise OSError(EIO), or SIGKILL ourselves."""

    process: str
    after: int
    kill: bool = False


class InjectedFault(OSError):
    """The error that a FaultPlan raises; an OSError, because that is what the real thing would be."""


class Tracer:
    """Collects the steps of one process; `plan` makes it fail on purpose."""

    def __init__(self, process: str, plan: FaultPlan | None = None) -> None:
        self.process, self.plan = process, plan
        self.steps: list[Step] = []
        self.own = 0  # the steps of this process alone: `steps` may hold those of others that were sent home

    def record(self, name: str, what: str, source: str, start: int, error: int) -> None:
        """Note one finished step, then carry out the fault plan if it was the one."""
        self.steps.append(Step(name, printable(what), source, start, time.monotonic_ns() - start, error, self.process))
        self.own += 1
        plan = self.plan
        if plan is None or plan.process != self.process or plan.after != self.own or error:
            return
        if plan.kill:
            os.kill(os.getpid(), signal.SIGKILL)
            os._exit(128 + signal.SIGKILL)  # pid 1 of a pid namespace does not get its own signals
        raise InjectedFault(errno.EIO, f"injected after step {plan.after} ({name})", what)

    def dump(self) -> list[dict[str, Any]]:
        """The steps as JSON-able dicts, in order."""
        return [s._asdict() for s in self.steps]


_WIDTH = 120  # characters of one argument
_tracer: Tracer | None = None


def install(tracer: Tracer | None) -> Tracer | None:
    """Make `tracer` this process's tracer (None: stop tracing). Returns the one that was there before."""
    global _tracer
    before, _tracer = _tracer, tracer
    return before


def current() -> Tracer | None:
    """The tracer of this process, or None."""
    return _tracer


def from_request(request: dict[str, Any] | None, process: str) -> Tracer | None:
    """The tracer that a request's ``trace`` field asks for: ``{}`` or ``{"plan": {...}}``; None asks for none."""
    if request is None:
        return None
    plan = request.get("plan")
    return Tracer(process, FaultPlan(**plan) if plan else None)


def _caller(depth: int) -> str:
    frame = sys._getframe(depth)
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}"


def _show(args: tuple[Any, ...]) -> str:
    """The arguments that a reader wants to see: paths and numbers, not buffers."""
    return " ".join(_word(a)[:_WIDTH] for a in args[:4])


def _word(argument: object) -> str:
    if not isinstance(argument, bytes | bytearray):
        return str(argument)
    if 0 in argument:  # a path has no NUL: this is a buffer, such as a compiled seccomp filter
        return f"<{len(argument)} bytes>"
    return os.fsdecode(bytes(argument))


def printable(text: str) -> str:
    """`text` as one line that every terminal takes: what is no printable character stands as Python's escape for it.

    A path may hold any byte but NUL (path_resolution(7)): line ends, control sequences, what is not UTF-8.
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # a byte that is not UTF-8 (PEP 383)
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")


# The thin functions whose result is a new descriptor.
_OPENING = {
    "openat2",
    "open_tree",
    "fsopen",
    "fsmount",
    "pidfd_open",
    "inotify_init1",
    "openpt",
    "open_slave",
    "prog_load",
}


def traced(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate one thin syscall function: with a tracer installed, each call becomes a Step."""
    name = function.__name__

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        tracer = _tracer
        if tracer is None:
            return function(*args, **kwargs)
        start, error = time.monotonic_ns(), 0
        source = _caller(2)
        try:
            result = function(*args, **kwargs)
        except OSError as e:
            error = e.errno or errno.EIO
            raise
        finally:
            if error:
                tracer.record(name, _show(args), source, start, error)
        try:
            tracer.record(name, _show(args), source, start, 0)
        except InjectedFault:
            if name in _OPENING and isinstance(result, int):
                os.close(result)  # the caller gets the fault in its place, and could not
            raise
        return result

    return wrapper


@contextmanager
def step(name: str, what: object = "") -> Iterator[None]:
    """Bracket a step that is more than one syscall: ``with step("write config.json", path): ...``."""
    tracer = _tracer
    if tracer is None:
        yield
        return
    start, source = time.monotonic_ns(), _caller(3)
    try:
        yield
    except OSError as e:
        tracer.record(name, str(what), source, start, e.errno or errno.EIO)
        raise
    tracer.record(name, str(what), source, start, 0)

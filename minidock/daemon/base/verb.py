"""What every verb has in common: a fault of the machine leaves it as one SystemFault, whatever raised it inside."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from minidock.errors import SystemFault

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


@contextmanager
def _one_fault(function: Callable[..., object]) -> Iterator[None]:
    """An OSError becomes SystemFault, with the verb as the step. TimeoutError, an OSError to Python too, is an answer."""
    try:
        yield
    except TimeoutError:
        raise
    except OSError as error:
        raise SystemFault.from_oserror(function.__name__.strip("_").replace("_", " "), error) from error


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate one verb of the engine, so that it fails with a SystemFault."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with _one_fault(function):
            return function(*args, **kwargs)

    return wrapper


def stream(function: Callable[P, Iterator[T]]) -> Callable[P, Iterator[T]]:
    """`verb` for one that answers with an iterator: what fails while it is read, long after the call, fails in the same way."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        with _one_fault(function):
            items = function(*args, **kwargs)
        return guarded(items)

    def guarded(items: Iterator[T]) -> Iterator[T]:
        with _one_fault(function):
            yield from items

    return wrapper

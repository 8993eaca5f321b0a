"""What every verb has in common: a fault of the machine leaves it as one SystemFault, whatever raised it inside."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from minidock.errors import SystemFault

P = ParamSpec("P")
R = TypeVar("R")


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate one verb of the engine: an OSError becomes SystemFault, with the verb as the step.

    TimeoutError, an OSError to Python, is an answer and passes.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TimeoutError:
            raise
        except OSError as error:
            raise SystemFault.from_oserror(function.__name__.replace("_", " "), error) from error

    return wrapper

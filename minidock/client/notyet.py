"""What docker-py has and this version has not: each name with the reason, so that a call says it in one clear line.

A name that becomes real is taken out of its table; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from minidock.errors import NotSupported


class NotYet:
    """A class with methods of docker-py's that raise NotSupported: `NOT_YET` names them, each with what is missing."""

    NOT_YET: ClassVar[Mapping[str, str]] = {}

    if not TYPE_CHECKING:  # for mypy an unknown attribute stays a mistake

        def __getattr__(self, name: str) -> Callable[..., NoReturn]:
            """The refusing function of a name in the table."""
            if name not in self.NOT_YET:
                raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
            reason = self.NOT_YET[name]

            def refuse(*_args: Any, **_kwargs: Any) -> NoReturn:
                raise NotSupported(f"{name}: {reason}")

            return refuse

"""The exit code of a container that is about to be started, also when it is removed as soon as it ends (--rm).

Without --rm the container stays, and can be asked at any time. With --rm it may be gone before we ask. The engine in this
process has looked after the exit and remembers it; a daemon is asked before the start, in a thread of its own, as docker's
client does.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minidock.errors import SystemFault

if TYPE_CHECKING:
    from minidock.client.api import APIClient


def promise(api: APIClient, id: str, *, removed: bool) -> Callable[[], int]:
    """A function that blocks until the container has ended (`removed`: until it is gone) and returns its exit code."""
    if not removed:
        return lambda: int(api.wait(id)["StatusCode"])
    engine = getattr(api, "engine", None)  # a daemon's client has none
    if engine is not None:
        from minidock import daemon

        return lambda: daemon.outcome(engine, id)
    import threading

    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(api.wait(id, condition="removed"))
        except BaseException as error:  # noqa: BLE001 — carried over to the main thread, which raises it
            answer.append(error)

    thread = threading.Thread(target=ask, name=f"wait-{id[:12]}", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:  # Python's word for pthread_create(3) without memory
        raise SystemFault("start a thread", errno=errno.ENOMEM) from error

    def result() -> int:
        thread.join()
        if isinstance(answer[0], BaseException):
            raise answer[0]
        return int(answer[0]["StatusCode"])

    return result

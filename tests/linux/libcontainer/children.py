"""Run a function in a forked child and get its answer back: for everything a test must not do to itself."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable
from typing import Any


def in_child(function: Callable[[], Any]) -> Any:
    """What `function` returned (JSON-able) in a child of ours; an OSError comes back as ``{"errno": n}``.

    Any other exception is an AssertionError here, with the child's traceback. A child killed by signal n answers -n.
    """
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(r)
        try:
            answer = {"value": function()}
        except OSError as e:
            answer = {"value": {"errno": e.errno}}
        except BaseException:  # noqa: BLE001  whatever it was, the parent is to show it
            answer = {"error": traceback.format_exc()}
        os.write(w, json.dumps(answer).encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return -os.WTERMSIG(status)
    reply = json.loads(text)
    assert "error" not in reply, reply["error"]
    return reply["value"]

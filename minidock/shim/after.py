"""What a shim leaves behind: run.json while its process runs, exit.json after it, and the after-exit entry it becomes.

::

    state_dir/  run.json    {"run", "shim_pid", "shim_start", "pid", "pid_start", "boot_id", "started_at"}
                exit.json   {"run", "code", "oom_killed", "error", "finished_at"}
    of an exec: <exec id>.run.json, <exec id>.exit.json
"""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

from minidock.linux import trace
from minidock.linux.files import write, write_atomic
from minidock.shim.jsonlog import timestamp
from minidock.shim.protocol import Running, ShimConfig


def path(config: ShimConfig, kind: str) -> str:
    """Where `kind` ("run" or "exit") of this process is written."""
    return os.path.join(config.state_dir, f"{config.exec_id}.{kind}.json" if config.exec_id else f"{kind}.json")


def prepare_run(config: ShimConfig, run: Running) -> None:
    """Write run.json under another name; `publish_run` makes it appear. `forget_run` is the undo, also after a fault."""
    with trace.step("write", path(config, "run")):
        write(f"{path(config, 'run')}.new", json.dumps({"run": config.run, **vars(run)}), durable=config.durable)


def publish_run(config: ShimConfig) -> None:
    """From here on the process counts as running. Raises OSError."""
    with trace.step("rename", path(config, "run")):
        os.rename(f"{path(config, 'run')}.new", path(config, "run"))


def forget_run(config: ShimConfig) -> None:
    """Undo `prepare_run` and `publish_run`: the start is taken back."""
    with trace.step("unlink", path(config, "run")):
        for suffix in ("", ".new"):
            with suppress(FileNotFoundError):
                os.unlink(path(config, "run") + suffix)


def record_exit(config: ShimConfig, fields: dict[str, Any]) -> None:
    """Write exit.json, whole or not at all. Raises OSError.

    The container may have filled the disk; how it ended must be known all the same. Then the exit goes into run.json, as
    ``"exit"``: that file has its block already, and what is added fits in.
    """
    value = {"run": config.run, **fields}
    try:
        write_atomic(path(config, "exit"), json.dumps(value), durable=config.durable)
    except OSError as e:
        if e.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        with open(path(config, "run"), "r+b", buffering=0) as file:
            run = json.loads(file.read())
            os.pwrite(file.fileno(), json.dumps({**run, "exit": value}).encode(), 0)


def unlink_socket(config: ShimConfig) -> None:
    """Take the shim's socket away, and its folder if nothing else is in it. Idempotent."""
    with trace.step("unlink", config.socket), suppress(FileNotFoundError):
        os.unlink(config.socket)
    if not config.exec_id:
        for folder in (os.path.join(os.path.dirname(config.socket), "exec"), os.path.dirname(config.socket)):
            with suppress(OSError):
                os.rmdir(folder)


def due(config: ShimConfig) -> bool:
    """Whether there is something to do after this exit."""
    return bool(config.after_exit) and (not config.after_exit_mark or os.path.exists(config.after_exit_mark))


def become(argv: tuple[str, ...]) -> NoReturn:
    """Become the engine's after-exit entry: nobody else is there to do what is due (restart, removal, freeing addresses).

    It runs with the zygote's small environment, and with no descriptor of the shim's but the standard three.
    """
    try:
        os.execv(argv[0], argv)
    except OSError as e:
        complain(f"after-exit entry {argv[0]}: {e.strerror}")
        os._exit(1)


def complain(text: str) -> None:
    """A fault that has nobody to be raised to: RUN/zygote.log, which is our standard error, keeps it."""
    sys.stderr.write(f"{timestamp()} {os.getpid()}: {text}\n")
    sys.stderr.flush()

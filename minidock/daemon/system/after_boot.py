"""What the daemon does when it is started: containers with a restart policy that ran when the machine went down run again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from minidock.daemon.containers.start import start
from minidock.daemon.record.container import Container
from minidock.errors import APIError

if TYPE_CHECKING:
    from minidock.daemon.engine import Engine


def restart_after_boot(engine: Engine) -> list[str]:
    """For the daemon's start: start what ran when the machine went down and has a restart policy. Returns the ids."""
    started = []
    for id in os.listdir(engine.paths.containers):
        try:
            container = Container.load(engine, id)
            policy, manual = container.host_config["RestartPolicy"]["Name"], container.record["ManuallyStopped"]
            due = policy == "always" or (policy == "unless-stopped" and not manual)
            if due and container.state().status == "exited":
                start(engine, id)
                started.append(id)
        except APIError:
            continue
    return started

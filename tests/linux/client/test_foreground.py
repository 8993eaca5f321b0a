"""What a command in the foreground costs beside the command itself: ``run --rm`` as the CLI does it."""

from __future__ import annotations

import os
import threading
from typing import Any

from minidock import DockerClient, daemon
from minidock.cli.terminal import exitcode


def descriptors() -> list[str]:
    """What this process has open, by kind."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:  # the listing's own
            continue
    return found


def begin(client: DockerClient, *command: str) -> tuple[str, Any, Any]:
    """Create, attach, ask for the exit code, start: the container's id, its stream, and what answers with the code."""
    host = client.api.create_host_config(auto_remove=True, network_mode="none")
    id = client.api.create_container("busybox", list(command), stdin_open=True, host_config=host)["Id"]
    stream = client.api.attach_socket(id, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
    exit_code = exitcode.promise(client.api, id, removed=True)
    client.api.start(id)
    return id, stream, exit_code


def test_one_thread_looks_after_the_exit_and_nothing_is_watched(client: DockerClient) -> None:
    before, watched = threading.active_count(), [name for name in descriptors() if "inotify" in name]
    id, stream, exit_code = begin(client, "sh", "-c", "read code; exit $code")
    assert threading.active_count() == before + 1
    assert [name for name in descriptors() if "inotify" in name] == watched
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(exit_code()))
    asking.start()
    assert [name for name in descriptors() if "inotify" in name] == watched
    stream._sock.sendall(b"7\n")
    asking.join(30)
    stream.close()
    assert answers == [7]
    assert not (client.api.engine.paths.containers / id).exists(), "who has the exit code finds the container removed"


def test_the_exit_code_is_there_for_who_asks_late(client: DockerClient) -> None:
    id, stream, exit_code = begin(client, "sh", "-c", "exit 3")
    stream.close()
    client.api.engine.exits.join(id)
    assert exit_code() == 3


def test_another_engine_restarts_it_meanwhile(client: DockerClient) -> None:
    """Then the exit is the other's, and ours is known only when the container is removed."""
    id, stream, exit_code = begin(client, "sh", "-c", "read code; exit $code")
    with daemon.open_engine(client.api.engine.paths.root) as other:
        daemon.restart(other, id, 0)
        client.api.engine.exits.join(id)
        answers: list[int] = []
        asking = threading.Thread(target=lambda: answers.append(exit_code()))
        asking.start()
        with daemon.attach(other, id, stdin=True) as again:
            again.sendall(b"4\n")
            asking.join(30)
    stream.close()
    assert answers == [4]
    assert not client.api.engine.paths.container(id).exists()

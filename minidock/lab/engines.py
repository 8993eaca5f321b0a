"""Which engine an experiment runs on: ours in this process, a real Docker, or a client that the caller has.

minidock's Python API has docker-py's shape, so an experiment does not know the difference. Two things are done here for a
real Docker: it is given the image (it cannot pull without a network), and an earlier run's containers are taken away by their
label, because a chapter's clean-up only looks into its own engine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from minidock.lab import cleanup

OWNER = "minidock.experiment"  # a label: the pid of the process that runs the experiment


@dataclass(frozen=True)
class Engine:
    """An engine in use: its `name` for rows and legends ("minidock", "docker"), its `client`, the `labels` of what is made."""

    name: str
    client: Any
    labels: dict[str, str]


@contextmanager
def opened(engine: str | Any) -> Iterator[Engine]:
    """The engine of this name, or around this client. "minidock" is the open chapter's own; "docker" is docker.from_env()
    (DOCKER_HOST). Raises ValueError for another name, and what docker-py raises when no daemon answers."""
    labels = {OWNER: str(os.getpid())}
    if not isinstance(engine, str):
        ours = type(engine).__module__.startswith("minidock.")
        yield _swept(Engine("minidock" if ours else "docker", engine, labels | _chapter_label()))
    elif engine == "docker":
        import docker

        client = docker.from_env()
        try:
            yield _swept(Engine("docker", client, labels | _chapter_label()))
        finally:
            client.close()
    elif engine == "minidock":
        with _own_client() as client:
            yield _swept(Engine("minidock", client, labels | _chapter_label()))
    else:
        raise ValueError(f"no such engine: {engine!r} (minidock, docker, or a client)")


def provide(engine: Engine, image: str) -> None:
    """Give a real Docker the image `image` of our own engine, if it has none of that name: exported here, imported there."""
    name = image if ":" in image else f"{image}:latest"
    if engine.name != "docker" or any(name in i.tags for i in engine.client.images.list()):
        return
    repository, _, tag = name.partition(":")
    with _own_client() as client:
        container = client.containers.create(image, "true", network_mode="none", labels=engine.labels)
        try:
            archive = b"".join(container.export())
        finally:
            container.remove(force=True)
    changes = ["CMD sh", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    engine.client.api.import_image_from_data(archive, repository=repository, tag=tag, changes=changes)


@contextmanager
def _own_client() -> Iterator[Any]:
    """The open chapter's client, or one for as long as it is needed."""
    from minidock.lab import chapter

    try:
        client = chapter.current().client
    except RuntimeError:
        import minidock

        with minidock.from_env() as client:
            yield client
    else:
        yield client


def _chapter_label() -> dict[str, str]:
    from minidock.lab import chapter

    try:
        return {cleanup.LABEL: chapter.current().name}
    except RuntimeError:
        return {}


def _swept(engine: Engine) -> Engine:
    """Take away the containers of experiments whose process is gone (a notebook's kernel that was killed)."""
    for container in engine.client.containers.list(all=True, filters={"label": OWNER}):
        if not os.path.exists(f"/proc/{container.labels[OWNER]}"):
            container.remove(force=True, v=True)
    return engine

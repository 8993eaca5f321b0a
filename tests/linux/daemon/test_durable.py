"""Each of the engine's durable files, after a power cut (see ``tests/linux/linux/test_durable.py``): whole, never empty."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minidock.daemon.containers import create, start, wait
from minidock.daemon.engine import Engine
from minidock.daemon.record.container import Container
from minidock.daemon.system.teardown import teardown
from tests.linux.daemon.conftest import install_busybox
from tests.linux.linux.powercut import Disk, disk  # noqa: F401  (a fixture)

MADE = {
    "the config of an image": "content/sha256/*",
    "the record of a layer": "layers/*/layer.json",
    "the record of a container": "containers/*/config.json",
}
RUN = {
    "the record of a run": "containers/*/run.json",
    "how a run ended": "containers/*/exit.json",
}


def empty(root: Path, kinds: dict[str, str]) -> list[str]:
    """The kinds of which some file does not hold its JSON object."""
    found = []
    for kind, pattern in kinds.items():
        texts = [path.read_text() for path in root.glob(pattern)]
        if not texts or not all(text.startswith("{") and isinstance(json.loads(text), dict) for text in texts):
            found.append(kind)
    return found


@pytest.mark.timeout(60)
def test_what_the_engine_writes_survives_a_power_cut(disk: Disk, busybox_tar: bytes) -> None:  # noqa: F811
    """Looked at before anything runs, too: an overlay that goes writes the whole file system below it to the disk."""
    root = disk.path / "root"
    try:
        with Engine(root) as engine:
            install_busybox(engine, busybox_tar)
            id = create.create(engine, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none"})["Id"]
            with Container.load(engine, id).locked() as container:
                container.save()  # as stop, kill and update do
            assert empty(root, MADE) == []
            with disk.after_a_cut() as found:
                assert empty(found / "root", MADE) == []
            start.start(engine, id)
            wait.wait(engine, id)
            assert empty(root, {**MADE, **RUN}) == []
            with disk.after_a_cut() as found:
                assert empty(found / "root", {**MADE, **RUN}) == []
    finally:
        teardown(root)

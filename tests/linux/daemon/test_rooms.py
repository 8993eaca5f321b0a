"""A start stays on its way down: how often it is called up from a lower room to a higher one, counted as it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from minidock import daemon
from minidock.daemon.containers import start
from minidock.daemon.engine import Engine
from minidock.daemon.record.container import Container
from tests.unit.daemon.test_rooms import HEIGHT, PACKAGE, name_of, room


def module_of(code: CodeType) -> str:
    """The module of daemon/ that the code is in, "" if it is elsewhere."""
    return name_of(Path(code.co_filename)) if code.co_filename.startswith(str(PACKAGE)) else ""


def climb(frame: FrameType) -> str:
    """What this call is, if it goes up: the caller is the nearest frame of daemon/, whatever lies between."""
    name, back = module_of(frame.f_code), frame.f_back
    while back is not None and not module_of(back.f_code):
        back = back.f_back
    if not name or back is None:
        return ""
    caller = module_of(back.f_code)
    if HEIGHT[room(caller)] >= HEIGHT[room(name)]:
        return ""
    return f"{caller}.{back.f_code.co_name} -> {name}.{frame.f_code.co_name}"


@pytest.mark.parametrize("network", ["none", "bridge"])
def test_a_start_climbs_at_most_five_times(box: Engine, made: Any, network: str) -> None:
    id = made("true", host={"NetworkMode": network})
    climbs: list[str] = []

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and (up := climb(frame)):
            climbs.append(up)

    with daemon.open_engine(box.paths.root) as engine:  # whose parts are all still to be built, each at its first use
        container = Container.load(engine, id)
        with container.locked():
            sys.setprofile(profile)
            try:
                owned = start.start_locked(engine, container)
            finally:
                sys.setprofile(None)
        engine.exits.finish(owned)
    assert len(climbs) <= 5, climbs
    assert "containers.start._start -> engine.execdriver" in climbs, "the count sees a climb"

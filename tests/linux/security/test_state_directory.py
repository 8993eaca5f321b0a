"""The state is root's alone; what others had a hand in is refused in one line, and nothing is followed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minidock.daemon import open_engine
from minidock.daemon.containers import create, rm, run
from minidock.daemon.system.teardown import teardown
from minidock.errors import SystemFault
from minidock.graph import bootstrap

MINIDOCK = str(Path(sys.executable).parent / "minidock")
NOBODY = 65534


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where a state root may be made; its instance goes afterwards."""
    place = tmp_path / "root"
    yield place
    if place.is_dir() and not place.is_symlink() and place.stat().st_uid == 0:
        teardown(place)


def minidock(root: Path, **options: int) -> subprocess.CompletedProcess[str]:
    """``minidock ps`` on `root`."""
    environment = {**os.environ, "MINIDOCK_ROOT": str(root)}
    return subprocess.run([MINIDOCK, "ps"], env=environment, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def test_nobody_else_gets_in(place: Path) -> None:
    with open_engine(place) as engine:
        bootstrap.bootstrap(engine.images, lambda _line: None)
        run.run(engine, {"Image": "busybox", "Cmd": ["true"]}, {"NetworkMode": "none"})
        for top in (engine.paths.root, engine.paths.run):
            assert (stat.S_IMODE(top.stat().st_mode), top.stat().st_uid) == (0o700, 0)
        (id,) = [folder.name for folder in engine.paths.containers.iterdir()]
        log = engine.paths.container(id) / f"{id}-json.log"
        assert log.exists()

        def look() -> int:
            command = ["cat", str(log.relative_to(place.parent))]
            user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            return subprocess.run(command, cwd=place.parent, capture_output=True, check=False, **user).returncode  # type: ignore[call-overload, no-any-return]

        place.parent.chmod(0o755)  # pytest made it private; only ours shall stand in the way
        assert look() != 0
        for folder in (engine.paths.root, engine.paths.containers, log.parent):
            folder.chmod(0o755)
        log.chmod(0o644)
        assert look() == 0, "the control: it is the modes that keep them out"
        rm.rm(engine, id)


def test_another_user_is_told_in_one_line(place: Path) -> None:
    result = minidock(place, user=NOBODY, group=NOBODY, extra_groups=[])  # type: ignore[arg-type]
    assert (result.returncode, result.stderr) == (1, "minidock needs root: run it with sudo\n")
    assert not place.exists()


def test_an_open_directory_is_closed(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)
    with open_engine(place):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    place.chmod(0o755)  # one with state in it is closed again
    with open_engine(place) as engine:
        assert engine.links
        assert stat.S_IMODE(place.stat().st_mode) == 0o700


def to_others(place: Path) -> None:
    """A directory of somebody else's, as one waits in /tmp for a root who will use that name."""
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)


def link_to_what_is_in_use(place: Path) -> None:
    """A link to a directory that has another use."""
    (place.parent / "etc").mkdir(mode=0o755)
    (place.parent / "etc/passwd").touch()
    place.symlink_to(place.parent / "etc")


def planted(name: str) -> Callable[[Path], None]:
    """A link in an instance whose root stood open."""

    def plant(place: Path) -> None:
        (place.parent / "elsewhere").mkdir()
        place.mkdir()
        (place / "linkgraph.db").touch()
        (place / name).symlink_to(place.parent / "elsewhere")
        place.chmod(0o777)

    return plant


def a_file(place: Path) -> None:
    """No directory at all."""
    place.touch()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (to_others, "it belongs to user 65534"),
        (link_to_what_is_in_use, "it is open to others, and holds something that is not minidock's"),
        (planted("containers"), "somebody else put it there while the directory was open to others"),
        (planted("tmp"), "somebody else put it there while the directory was open to others"),
        (planted("overlay"), "somebody else put it there while the directory was open to others"),
        (a_file, "file exists"),
    ],
)
def test_what_others_had_a_hand_in_is_refused(place: Path, prepare: Callable[[Path], None], words: str) -> None:
    prepare(place)
    before = snapshot(place.parent)
    with pytest.raises(SystemFault, match=words), open_engine(place):
        pass
    result = minidock(place)
    assert result.returncode != 0
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert words in result.stderr
    assert snapshot(place.parent) == before


def snapshot(top: Path) -> dict[Path, int]:
    """Every path below and its mode, links not followed."""
    return {path: path.lstat().st_mode for path in top.rglob("*")}


def test_a_container_of_another_root_is_none_of_ours(place: Path, tmp_path: Path) -> None:
    """A name or id is never a path: no way out of the containers' folder by dots and slashes."""
    other = tmp_path / "other"
    try:
        with open_engine(other) as engine:
            bootstrap.bootstrap(engine.images, lambda _line: None)
            id = create.create(engine, {"Image": "busybox"}, {"NetworkMode": "none"})["Id"]
        with open_engine(place) as engine:
            for ref in (
                f"../../other/containers/{id}",
                f"../../other/containers/{id}/",
                "..",
                ".",
                "/",
                "",
                "%2e%2e",
                "*",
                "?" * 64,
            ):
                with pytest.raises(Exception, match=r"No such container|not provided"):
                    rm.rm(engine, ref, force=True)
        assert (other / "containers" / id / "config.json").exists()
    finally:
        teardown(other)

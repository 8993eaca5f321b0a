"""Times, names, signals, merged configs: what goes in, what comes out, and docker's words."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.daemon.base import timestamps
from minidock.daemon.containers import run, top
from minidock.daemon.record import names
from minidock.daemon.request import merge, signals
from minidock.errors import InvalidParameter
from minidock.shim.protocol import frame


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.9, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (119, "About a minute"),
        (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"), (7200, "2 hours"), (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"), (14 * 86400, "2 weeks"), (60 * 86400, "2 months"), (800 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_human_duration(seconds: float, words: str) -> None:
    """ "Up 2 hours", in docker's words."""
    assert timestamps.human_duration(seconds) == words


@given(st.integers(0, 4 * 10**18))
def test_times_survive_the_round_trip(ns: int) -> None:
    assert timestamps.to_ns(timestamps.from_ns(ns)) == ns


def test_zones_and_nothing() -> None:
    assert timestamps.to_ns("2015-03-30T11:38:11.5+02:00") == timestamps.to_ns("2015-03-30T09:38:11.5Z")
    assert timestamps.to_ns(timestamps.ZERO) == timestamps.to_ns("") == 0
    assert timestamps.parse_when("", "since") == timestamps.parse_when(0, "since") == 0
    assert timestamps.parse_when("12.5", "since") == 12_500_000_000
    assert 0 < timestamps.parse_when("1h", "since") < timestamps.parse_when("1m30s", "since")
    with pytest.raises(InvalidParameter):
        timestamps.parse_when("yesterday", "since")


@pytest.mark.parametrize("good", ["ab", "/ab", "a_b.c-d", "0a"])
def test_good_names(good: str) -> None:
    """Names that docker takes are taken."""
    assert names.validate(good) == good.lstrip("/")


@pytest.mark.parametrize("bad", ["a", "_a", "a b", "ä1", "a/b", "", "-a", "a\n"])
def test_bad_names(bad: str) -> None:
    """Names that docker refuses are refused in its words."""
    with pytest.raises(InvalidParameter) as caught:
        names.validate(bad)
    assert caught.value.explanation == f"Invalid container name ({bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"


def test_random_names_are_names() -> None:
    assert len(set(names.ADJECTIVES)) > 50
    assert len(set(names.SURNAMES)) > 50
    for word in (*names.ADJECTIVES, *names.SURNAMES):
        assert word.isascii()
        assert word.islower()
        assert word.isalpha()


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("sigterm", 15), ("9", 9), (1, 1), ("RTMIN+3", signal.SIGRTMIN + 3), ("SIGRTMAX-1", signal.SIGRTMAX - 1)],
)
def test_signals(text: str | int, number: int) -> None:
    """Signals by number and by name, with SIG or without."""
    assert signals.parse(text) == number


@pytest.mark.parametrize("text", ["", "0", "NOPE", "99", "TERM+x", "RTMAX+9", "SIG_IGN"])
def test_bad_signals(text: str) -> None:
    """What is no signal is refused, not sent as another."""
    with pytest.raises(InvalidParameter, match="Invalid signal: "):
        signals.parse(text)


@pytest.mark.parametrize(
    ("user", "image", "entrypoint", "cmd"),
    [
        ({}, {"Cmd": ["a"]}, None, ["a"]),
        ({}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["e"], ["a"]),
        ({"Cmd": ["b"]}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["e"], ["b"]),
        ({"Entrypoint": ["x"]}, {"Entrypoint": ["e"], "Cmd": ["a"]}, ["x"], None),
        ({"Entrypoint": [""], "Cmd": ["b"]}, {"Entrypoint": ["e"]}, None, ["b"]),
        ({"Entrypoint": "x", "Cmd": "b"}, {}, ["x"], ["b"]),
    ],
)
def test_command_and_entrypoint(user: object, image: object, entrypoint: object, cmd: object) -> None:
    config = merge.merge(user, image)  # type: ignore[arg-type]
    assert (config["Entrypoint"], config["Cmd"]) == (entrypoint, cmd)


def test_environment_labels_volumes() -> None:
    image = {"Env": ["A=1", "B=2"], "Labels": {"l": "i", "m": "i"}, "Volumes": {"/v": {}}, "User": "u", "WorkingDir": "/w"}
    config = merge.merge({"Env": ["B=3", "C"], "Labels": {"l": "u"}, "Volumes": {"/x": {}}, "User": "root"}, image)
    assert config["Env"] == ["B=3", "C", "A=1"]
    assert config["Labels"] == {"l": "u", "m": "i"}
    assert set(config["Volumes"]) == {"/v", "/x"}
    assert (config["User"], config["WorkingDir"]) == ("root", "/w")
    assert merge.replace_or_append(["A=1", "B=2"], ["B=3", "A", "C=4"]) == ["B=3", "C=4"]


def test_top_keeps_the_containers_processes() -> None:
    shown = top.parse("UID PID CMD\nroot 12 sleep 5 x\nroot 13 other\n", {12})
    assert shown == {"Titles": ["UID", "PID", "CMD"], "Processes": [["root", "12", "sleep 5 x"]]}


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=50))))
def test_frames_are_told_apart(frames: list[tuple[int, bytes]]) -> None:
    assert list(run.separate(b"".join(frame(stream, data) for stream, data in frames))) == frames

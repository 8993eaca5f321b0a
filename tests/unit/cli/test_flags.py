"""pflag's grammar."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.cli.grammar.flags import FlagError, HelpWanted, Parsed, boolean, integer, many, parse, string

FLAGS = (
    boolean("tty", "t"),
    boolean("interactive", "i"),
    string("user", "u"),
    many("env", "e"),
    integer("number", "n"),
    boolean("on", default=True),
)


def line(*words: str, interspersed: bool = False) -> Parsed:
    return parse(FLAGS, words, interspersed)


@pytest.mark.parametrize(
    "words",
    [
        ("-it", "-u", "root"),
        ("-itu", "root"),
        ("-ituroot",),
        ("-itu=root",),
        ("-i", "-t", "--user=root"),
        ("--tty=1", "-i", "--user", "root"),
    ],
)
def test_the_same_in_many_ways(words: tuple[str, ...]) -> None:
    parsed = line(*words)
    assert (parsed["tty"], parsed["interactive"], parsed["user"]) == (True, True, "root")


def test_booleans_can_be_false() -> None:
    parsed = line("--tty", "--tty=false", "--on=F")
    assert (parsed["tty"], parsed["on"]) == (False, False)


def test_lists_grow_and_single_values_are_replaced() -> None:
    parsed = line("-e", "a", "--env=b", "-ec", "-u", "x", "-u", "y")
    assert (parsed["env"], parsed["user"]) == (["a", "b", "c"], "y")


def test_the_first_argument_ends_the_options_or_not() -> None:
    assert line("-t", "image", "-i", "--", "x").args == ["image", "-i", "--", "x"]
    parsed = line("a", "-i", "b", "--", "-t", interspersed=True)
    assert (parsed.args, parsed["interactive"], parsed["tty"]) == (["a", "b", "-t"], True, False)


def test_given_tells_absence_from_the_empty_value() -> None:
    assert "user" in line("--user=").given
    assert "user" not in line().given
    assert line()["number"] is None


def test_help_waits_for_mistakes() -> None:
    with pytest.raises(HelpWanted):
        line("--help")
    with pytest.raises(HelpWanted, match="deprecated"):
        line("-h")
    with pytest.raises(FlagError):
        line("--help", "--nope")
    assert line("image", "--help").args == ["image", "--help"]


@given(st.lists(st.text(max_size=8)), st.booleans())
def test_any_words_are_parsed_or_told(words: list[str], interspersed: bool) -> None:
    with contextlib.suppress(FlagError, HelpWanted):
        line(*words, interspersed=interspersed)


@given(st.lists(st.text()), st.lists(st.text()))
def test_nothing_of_the_command_is_lost(values: list[str], command: list[str]) -> None:
    words = [word for value in values for word in ("-e", value)]
    parsed = line(*words, "image", *command)
    assert (parsed["env"], parsed.args) == (values, ["image", *command])

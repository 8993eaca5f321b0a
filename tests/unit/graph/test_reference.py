"""docker's reference grammar, by its own examples and by Hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import InvalidParameter
from minidock.graph import reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("busybox", "busybox:latest"),
        ("busybox:1.36", "busybox:1.36"),
        ("library/busybox", "busybox:latest"),
        ("docker.io/library/busybox", "busybox:latest"),
        ("index.docker.io/busybox", "busybox:latest"),
        ("docker.io/alice/tools:x", "alice/tools:x"),
        ("alice/tools", "alice/tools:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/x:y", "localhost:5000/x:y"),
        ("registry.example.org/a/b/c", "registry.example.org/a/b/c:latest"),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
        ("Registry.example/x", "Registry.example/x:latest"),
        (f"busybox@{DIGEST}", f"busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", f"busybox:1@{DIGEST}"),
        ("a__b--c.d", "a__b--c.d:latest"),
        ("x" * 237, "x" * 237 + ":latest"),
    ],
)
def test_familiar_names(text: str, familiar: str) -> None:
    """The short form that users type and see, and back."""
    assert reference.normalise(text) == familiar


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        (":latest", "invalid reference format"),
        ("busybox:", "invalid reference format"),
        ("busybox:-x", "invalid reference format"),
        ("busybox:" + "t" * 129, "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("/a", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a\n", "invalid reference format"),
        ("ä", "invalid reference format"),
        ("busybox@sha256:abc", "invalid reference format"),
        ("../etc", "invalid reference format"),
        ("BusyBox", "invalid reference format: repository name must be lowercase"),
        ("UP/x:1", "invalid reference format: repository name must be lowercase"),
        ("alice/Tools:x", "invalid reference format: repository name must be lowercase"),
        ("a" * 64, f"invalid repository name ({'a' * 64}), cannot specify 64-byte hexadecimal strings"),
        ("x" * 260, "repository name must not be more than 255 characters"),
    ],
)
def test_what_is_refused_and_how(text: str, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        reference.parse(text)
    assert str(caught.value) == message


COMPONENT = st.from_regex(r"[a-z0-9]+((\.|_|__|-{1,3})[a-z0-9]+){0,2}", fullmatch=True)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@given(st.lists(COMPONENT, min_size=1, max_size=3), st.none() | TAG)
def test_every_name_of_the_grammar_is_taken_and_stays_what_it_is(parts: list[str], tag: str | None) -> None:
    text = "/".join(parts)
    if len(text) > 200 or (len(text) == 64 and not set(text) - set("0123456789abcdef")):
        return
    if len(parts) > 1 and "." in parts[0]:
        return  # that would be a domain, which has another grammar
    once = reference.normalise(text + (f":{tag}" if tag else ""))
    assert reference.normalise(once) == once
    assert once.endswith(f":{tag or 'latest'}")


@given(st.text(max_size=40))
def test_anything_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = reference.parse(text)
    except InvalidParameter:
        return
    assert reference.parse(str(parsed)) == parsed


def test_tags() -> None:
    """`tag` takes and refuses what docker's does."""
    assert reference.for_tagging("busybox") == "busybox:latest"
    assert reference.for_tagging("busybox:a", "b") == "busybox:b"
    with pytest.raises(InvalidParameter, match="refusing to create a tag with a digest reference"):
        reference.for_tagging(f"busybox@{DIGEST}")
    with pytest.raises(InvalidParameter, match="ambiguous tag using digest algorithm as name"):
        reference.for_tagging("sha256", "abc")
    with pytest.raises(InvalidParameter, match="invalid tag format"):
        reference.for_tagging("busybox", "a b")

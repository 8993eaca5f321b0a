"""Archive names: what is refused, and that nothing that passes can leave the root."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import InvalidParameter
from minidock.graph import identity
from minidock.graph.archive import names

PARTS = st.lists(st.sampled_from(["..", ".", "", "a", "b", "..a", "\udcff", " "]), max_size=8).map("/".join)


@given(PARTS)
def test_a_clean_name_is_inside_or_refused(text: str) -> None:
    joined = posixpath.normpath(posixpath.join("/root/x", text.lstrip("/")))
    try:
        inside = names.clean(text)
    except InvalidParameter:
        assert not (joined + "/").startswith("/root/x/")
        return
    assert posixpath.normpath(f"/root/x/{inside}") == joined
    assert not inside.startswith("/")
    assert ".." not in inside.split("/")


@given(PARTS, PARTS)
def test_a_symlink_text_never_climbs_out(path: str, target: str) -> None:
    try:
        names.check_symlink(names.clean(path), target)
        at = names.clean(path)
    except InvalidParameter:
        return
    end = posixpath.normpath(
        posixpath.join("/root/x", posixpath.dirname(at), target.lstrip("/") if target.startswith("/") else target)
    )
    assert target.startswith("/") or (end + "/").startswith("/root/x/")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/..", "/../etc/passwd", "..", "a\0b"])
def test_climbing_names(name: str) -> None:
    """A name in an archive that leads out of the layer is refused."""
    with pytest.raises(InvalidParameter):
        names.clean(name)


@pytest.mark.parametrize(
    ("name", "inside"), [("/etc/x", "etc/x"), ("./a", "a"), ("a//b/./c", "a/b/c"), ("a/../b", "b"), ("./", "")]
)
def test_harmless_names(name: str, inside: str) -> None:
    """An odd name stays inside of the layer."""
    assert names.clean(name) == inside


def test_whiteouts() -> None:
    """Whiteouts are told from files, and broken ones refused."""
    assert names.whiteout(".wh.file") == "file"
    assert names.whiteout("file") is None
    for bad in (".wh.", ".wh..", ".wh..."):
        with pytest.raises(InvalidParameter, match="invalid whiteout"):
            names.whiteout(bad)


def test_chain_ids_are_the_specifications() -> None:
    a, b = identity.digest(b"a"), identity.digest(b"b")
    assert identity.chain_ids([]) == []
    assert identity.chain_ids([a]) == [a]
    assert identity.chain_ids([a, b]) == [a, identity.digest(f"{a} {b}".encode())]
    with pytest.raises(InvalidParameter):
        identity.checked("sha256:../../etc/passwd")

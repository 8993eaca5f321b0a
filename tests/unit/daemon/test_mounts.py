"""-v, --mount, --tmpfs: what they mean, and docker's words for what they cannot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.daemon.request.mounts import MountPoint, mount_points, parse_bind, parse_mount, parse_tmpfs
from minidock.errors import InvalidParameter


@pytest.mark.parametrize(
    ("spec", "kind", "source", "name", "destination", "rw", "propagation"),
    [
        ("/a:/b", "bind", "/a", "", "/b", True, "rprivate"),
        ("/a/../c:/b/:ro", "bind", "/c", "", "/b", False, "rprivate"),
        ("/a:/b:ro,rshared", "bind", "/a", "", "/b", False, "rshared"),
        ("data:/b", "volume", "", "data", "/b", True, ""),
        ("data:/b:ro", "volume", "", "data", "/b", False, ""),
        ("/b", "volume", "", "", "/b", True, ""),
    ],
)
def test_bind(spec: str, kind: str, source: str, name: str, destination: str, rw: bool, propagation: str) -> None:
    """A bind's three parts, and the record of it reads back the same."""
    point = parse_bind(spec)
    assert (point.kind, point.source, point.name) == (kind, source, name)
    assert (point.destination, point.rw, point.propagation) == (destination, rw, propagation)
    assert MountPoint.from_record(point.record()) == point


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "invalid volume specification: ''"),
        ("/a:ro", "invalid volume specification: '/a:ro'"),
        ("/a:/b:ro:x", "invalid volume specification: '/a:/b:ro:x'"),
        ("/a:/b:bad", "invalid mode: bad"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:b", "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
                 "invalid mount path: 'b' mount path must be absolute"),
        ("/a:/", "invalid volume specification: '/a:/': invalid mount config for type \"bind\": "
                 "invalid specification: destination can't be '/'"),
        ("a b:/c", 'create a b: "a b" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
                   "are allowed. If you intended to pass a host directory, use absolute path"),
    ],
)  # fmt: skip
def test_bad_bind(spec: str, words: str) -> None:
    """A bind that makes no sense is refused in docker's words."""
    with pytest.raises(InvalidParameter) as caught:
        parse_bind(spec)
    assert caught.value.explanation == words


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ({"Type": "x"}, 'invalid mount config for type "x": mount type unknown'),
        ({"Type": "bind", "Source": "/a"}, 'invalid mount config for type "bind": field Target must not be empty'),
        ({"Type": "bind", "Target": "/a"}, 'invalid mount config for type "bind": field Source must not be empty'),
        (
            {"Type": "bind", "Source": "a", "Target": "/a"},
            "invalid mount config for type \"bind\": invalid mount path: 'a' mount path must be absolute",
        ),
        (
            {"Type": "tmpfs", "Source": "/a", "Target": "/a"},
            'invalid mount config for type "tmpfs": field Source must not be specified',
        ),
        (
            {"Type": "tmpfs", "Target": "/a", "BindOptions": {"Propagation": "shared"}},
            'invalid mount config for type "tmpfs": field BindOptions must not be specified',
        ),
    ],
)
def test_bad_mount(mount: dict[str, Any], words: str) -> None:
    """A mount that makes no sense is refused in docker's words."""
    with pytest.raises(InvalidParameter) as caught:
        parse_mount(mount)
    assert caught.value.explanation == words


def test_tmpfs_keeps_dockers_defaults_unless_undone() -> None:
    assert parse_tmpfs("/t", "").options == ("noexec", "nosuid", "nodev")
    assert parse_tmpfs("/t", "exec,size=1m").options == ("nosuid", "nodev", "size=1m")
    with pytest.raises(InvalidParameter, match="invalid tmpfs option"):
        parse_tmpfs("/t", "bogus")


def test_parents_first_duplicates_refused_image_volumes_last_choice() -> None:
    points = mount_points({"Volumes": {"/a/b": {}, "/v": {}}}, {"Binds": ["/x:/a/b", "/y:/a"]})
    assert [p.destination for p in points] == ["/a", "/v", "/a/b"]
    assert points[2].kind == "bind"
    with pytest.raises(InvalidParameter, match="Duplicate mount point: /a"):
        mount_points({}, {"Binds": ["/x:/a", "/y:/a/"]})


@given(st.text(alphabet="/:abro,. \0", max_size=20))
def test_any_text_is_a_mount_or_the_users_mistake(spec: str) -> None:
    try:
        point = parse_bind(spec)
    except InvalidParameter:
        return
    assert point.destination.startswith("/")
    assert point.destination != "/"
    assert ".." not in point.destination.split("/")

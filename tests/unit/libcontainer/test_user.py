from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidock.errors import StartError
from minidock.libcontainer.user import User, lookup

PASSWD = "root:x:0:0:root:/root:/bin/sh\n# comment:x:5:5\nbad line\nann:x:1000:1001::/home/ann:/bin/sh\n1234:x:77:78::/n:\n"
GROUP = "root:x:0:\nwheel:x:10:root,ann\nann:x:1001:\ndocker:x:999:ann,bob\n"


@pytest.mark.parametrize(
    ("spec", "extra", "expected"),
    [
        ("", (), User(0, 0, (0, 10), "/root")),
        ("root", (), User(0, 0, (0, 10), "/root")),
        ("ann", (), User(1000, 1001, (1001, 10, 999), "/home/ann")),
        ("1000", (), User(1000, 1001, (1001, 10, 999), "/home/ann")),
        ("ann:wheel", (), User(1000, 10, (10,), "/home/ann")),
        ("ann:55", ("docker", "66"), User(1000, 55, (55, 999, 66), "/home/ann")),
        ("4242", (), User(4242, 0, (0,), "/")),
        ("4242:ann", (), User(4242, 1001, (1001,), "/")),
        ("1234", (), User(77, 78, (78,), "/n")),
    ],
)
def test_lookup(spec: str, extra: tuple[str, ...], expected: User) -> None:
    """-u by name, number, and both; the groups come along."""
    assert lookup(spec, extra, PASSWD, GROUP) == expected


@pytest.mark.parametrize(
    ("spec", "extra", "text"),
    [
        ("bob", (), "unable to find user bob: no matching entries in passwd file"),
        ("ann:bobs", (), "unable to find group bobs: no matching entries in group file"),
        ("ann", ("bobs",), "unable to find group bobs: no matching entries in group file"),
        ("99999999999", (), "uids and gids must be in range 0-2147483647"),
    ],
)
def test_unknown(spec: str, extra: tuple[str, ...], text: str) -> None:
    """A user who is not in the image is told by name."""
    with pytest.raises(StartError, match=text):
        lookup(spec, extra, PASSWD, GROUP)


@given(st.text(), st.text(), st.text())
def test_no_file_however_broken_gives_anything_but_numbers_or_a_start_error(spec: str, passwd: str, group: str) -> None:
    try:
        user = lookup(spec, (), passwd, group)
    except StartError:
        return
    assert user.uid >= 0
    assert user.gid >= 0
    assert all(g >= 0 for g in user.groups)
